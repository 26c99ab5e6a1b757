//! The embedded CRM and its import.

use std::path::{Path, PathBuf};

use allo::config::DatabaseUrl;
use allo::crm::{self, Crm, EmbeddedCrm, ImportError, Imported};
use allo::database::Pool;
use allo::domain::{Customer, Language, Money, Region};
use allo::store::Store;
use tempfile::TempDir;

use crate::postgres::Postgres;
use crate::{phone, sqlite};

struct House {
    folder: TempDir,
    pool: Pool,
    crm: EmbeddedCrm,
}

impl House {
    async fn new(url: &DatabaseUrl) -> Self {
        let store = Store::open(url).await.unwrap();
        let pool = store.pool().clone();
        let crm = EmbeddedCrm::new(pool.clone());
        Self { folder: tempfile::tempdir().unwrap(), pool, crm }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    }

    async fn import(
        &self,
        customers: Option<&Path>,
        orders: Option<&Path>,
    ) -> Result<Imported, ImportError> {
        crm::import(&self.pool, customers, orders, Region::default()).await
    }

    async fn import_customers(&self, csv: impl AsRef<[u8]>) -> Result<Imported, ImportError> {
        let file = self.write("customers.csv", csv);
        self.import(Some(&file), None).await
    }

    async fn import_orders(&self, csv: impl AsRef<[u8]>) -> Result<Imported, ImportError> {
        let file = self.write("orders.csv", csv);
        self.import(None, Some(&file)).await
    }

    async fn customers(&self, number: &str) -> Vec<Customer> {
        self.crm.customers(&phone(number)).await.unwrap()
    }

    /// The mistakes of an import, without the folder.
    fn mistakes(&self, result: Result<Imported, ImportError>) -> String {
        let folder = format!("{}/", self.folder.path().display());
        result.unwrap_err().to_string().replace(&folder, "")
    }
}

#[tokio::test]
async fn sqlite_keeps_the_contract_of_the_embedded_crm() {
    let folder = tempfile::tempdir().unwrap();
    contract(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract_of_the_embedded_crm() {
    let Some(server) = Postgres::start() else { return };
    contract(&server.database("crm")).await;
}

async fn contract(url: &DatabaseUrl) {
    let house = House::new(url).await;
    a_new_house_has_the_sample_once(&house).await;
    an_imported_customer_is_found(&house).await;
    importing_again_updates(&house).await;
    columns_that_are_not_there_keep_their_values(&house).await;
    orders_are_found_by_what_a_caller_can_type(&house).await;
    nothing_is_imported_if_one_row_is_wrong(&house).await;
    many_rows_are_imported(&house).await;
}

async fn a_new_house_has_the_sample_once(house: &House) {
    assert!(house.crm.is_empty().await.unwrap());
    assert!(house.crm.fill_if_new().await.unwrap());
    assert!(!house.crm.fill_if_new().await.unwrap());
    let anna = house.customers("+79161112233").await;
    assert_eq!(anna.len(), 1);
    assert_eq!((anna[0].name.as_deref(), anna[0].points), (Some("Анна"), Some(120)));
    assert_eq!(anna[0].current_order().map(|order| order.number.as_str()), Some("48-15"));
    assert_eq!(house.customers("+79105550202").await.len(), 2);
    assert!(house.customers("+79099999999").await.is_empty());
}

async fn an_imported_customer_is_found(house: &House) {
    let customers = house.write(
        "customers.csv",
        "\u{feff}points;phone;name;vip;balance;language;timezone\r\n\
         1 254;8 (916) 123-45-67;\"Иван; Иванович\";да;2 341,50;ru;Europe/Moscow\r\n\
         \r\n\
         0;+79161112233;Анна;;;;\r\n",
    );
    let orders = house.write(
        "orders.csv",
        "number\tphone\tstatus\tupdated\n\
         47-01\t+79161234567\tdelivered\t2026-11-01\n\
         48-15\t+79161234567\tSHIPPED\t2026-11-20\n\
         48-16\t+79161234567\t\t2026-11-19\n",
    );
    let imported = house.import(Some(&customers), Some(&orders)).await.unwrap();
    assert_eq!(imported, Imported { customers: 2, orders: 3 });
    let found = house.customers("+79161234567").await;
    let [ivan] = &found[..] else { panic!("{found:?}") };
    assert_eq!(ivan.name.as_deref(), Some("Иван; Иванович"));
    assert_eq!((ivan.points, ivan.vip), (Some(1254), true));
    assert_eq!(ivan.balance, Some(Money(234_150)));
    assert_eq!(ivan.language, Some(Language::Russian));
    let numbers: Vec<&str> = ivan.orders.iter().map(|order| order.number.as_str()).collect();
    assert_eq!(numbers, ["48-15", "48-16", "47-01"]);
    assert_eq!(ivan.orders[0].status.as_deref(), Some("shipped"));
    assert_eq!(ivan.orders[1].status, None);
    // Anna was a sample customer; the sample's orders are not hers any more.
    let anna = house.customers("+79161112233").await;
    assert_eq!((anna.len(), anna[0].points, anna[0].orders.len()), (1, Some(0), 0));
}

async fn importing_again_updates(house: &House) {
    let file = "phone,name,card,points\n+79160000001,Пётр,1,10\n+79160000001,Ольга,2,20\n";
    for _ in 0..2 {
        house.import_customers(file).await.unwrap();
        assert_eq!(house.customers("+79160000001").await.len(), 2);
    }
    house.import_customers(file.replace(",20", ",21")).await.unwrap();
    let points: Vec<_> =
        house.customers("+79160000001").await.iter().map(|customer| customer.points).collect();
    assert_eq!(points, [Some(10), Some(21)]);
}

async fn columns_that_are_not_there_keep_their_values(house: &House) {
    house.import_customers("phone,points\n+79161234567,1300\n").await.unwrap();
    let ivan = house.customers("+79161234567").await.remove(0);
    assert_eq!((ivan.points, ivan.vip), (Some(1300), true));
    assert_eq!(ivan.name.as_deref(), Some("Иван; Иванович"));
    house
        .import_customers("phone,card,points\n+79160000001,2,22\n+79160000001,1,11\n")
        .await
        .unwrap();
    let names: Vec<_> =
        house.customers("+79160000001").await.into_iter().map(|c| (c.name, c.points)).collect();
    assert_eq!(names, [(Some("Пётр".into()), Some(11)), (Some("Ольга".into()), Some(22))]);
    house.import_orders("number,phone,status\n48-15,+79161234567,ready\n").await.unwrap();
    let order = house.crm.order("48-15").await.unwrap().unwrap();
    assert_eq!(order.status.as_deref(), Some("ready"));
    assert!(order.updated.is_some());
}

async fn orders_are_found_by_what_a_caller_can_type(house: &House) {
    house
        .import_orders(
            "number,phone,status\n\
             B-2001,+79160000001,new\n\
             C-2002,+79160000001,new\n\
             D-2002,+79160000001,new\n\
             2003,+79160000001,new\n\
             E-2003,+79160000001,new\n",
        )
        .await
        .unwrap();
    for (typed, found) in [
        ("4815", Some("48-15")),
        ("48-15", Some("48-15")),
        ("2001", Some("B-2001")),
        ("b 2001", Some("B-2001")),
        ("Z-2001", None),
        ("2002", None), // two of them
        ("D2002", Some("D-2002")),
        ("2003", Some("2003")),
        ("", None),
        ("99999999", None),
    ] {
        let order = house.crm.order(typed).await.unwrap();
        assert_eq!(order.map(|order| order.number).as_deref(), found, "{typed}");
    }
}

async fn nothing_is_imported_if_one_row_is_wrong(house: &House) {
    let good = house.write("good.csv", "phone,points\n+79161234567,7777\n");
    let bad = house.write("bad.csv", "number,phone,status\n1,nobody,new\n");
    let result = house.import(Some(&good), Some(&bad)).await;
    let mistakes = house.mistakes(result);
    assert_eq!(mistakes, "bad.csv:2: phone: not a phone number\nnothing was imported");
    assert_eq!(house.customers("+79161234567").await[0].points, Some(1300));
}

async fn many_rows_are_imported(house: &House) {
    let mut csv = String::from("phone,name,points\n");
    for number in 0..2_500 {
        // Two customers on each number, so that a chunk's end falls between them.
        csv.push_str(&format!("+7916{:07},customer {number},{number}\n", 5_000_000 + number / 2));
    }
    for _ in 0..2 {
        let imported = house.import_customers(&csv).await.unwrap();
        assert_eq!(imported.customers, 2_500);
    }
    for number in ["+79165000000", "+79165000249", "+79165000250", "+79165001249"] {
        assert_eq!(house.customers(number).await.len(), 2, "{number}");
    }
}

#[tokio::test]
async fn each_mistake_is_named_with_its_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(&sqlite(folder.path())).await;
    let customers = house.write(
        "customers.csv",
        "phone,name,points,vip,language,balance,timezone\n\
         +79161112233,Анна,120,no,ru,1.5,Europe/Moscow\n\
         \n\
         ,Без номера,1,no,ru,,\n\
         12,x,1,no,ru,,\n\
         +79161112234,\"Две\nстроки\",много,maybe,de,1.234,Mars\n\
         +79161112235,too few\n\
         +79161112233,Анна,5,,,,\n",
    );
    let orders = house.write("orders.csv", "number,phone,statsu\n1,+79161112233,new\n");
    let result = house.import(Some(&customers), Some(&orders)).await;
    assert_eq!(
        house.mistakes(result),
        "customers.csv:4: phone: empty\n\
         customers.csv:5: phone: not a phone number\n\
         customers.csv:6: name: holds a line break or another control character\n\
         customers.csv:6: points: not a whole number\n\
         customers.csv:6: vip: neither yes nor no\n\
         customers.csv:6: language: not a language that is spoken here: ru, en\n\
         customers.csv:6: balance: not an amount such as 2341.50\n\
         customers.csv:6: timezone: not a time zone such as Europe/Moscow\n\
         customers.csv:8: 2 fields, but 7 columns\n\
         customers.csv:9: phone: the same phone, card and name as in line 2\n\
         orders.csv:1: statsu: unknown column; did you mean \"status\"?\n\
         orders.csv:1: status: this column is missing\n\
         nothing was imported"
    );
    assert!(house.crm.is_empty().await.unwrap());
}

#[tokio::test]
async fn a_file_that_is_no_csv_in_utf8_gets_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(&sqlite(folder.path())).await;
    let windows_1251 = b"phone,name\n+79161112233,\xC0\xED\xED\xE0\n";
    let result = house.import_customers(windows_1251).await;
    let mistakes = house.mistakes(result);
    assert!(
        mistakes.starts_with("customers.csv:2: not UTF-8 (perhaps Windows-1251)"),
        "{mistakes}"
    );
    let result = house.import_customers(b"\xFF\xFEp\0h\0").await;
    assert!(house.mistakes(result).contains("UTF-16"));
    let result = house.import_customers("").await;
    assert!(house.mistakes(result).contains("the first line names the columns"));
    let result = house.import(Some(&house.folder.path().join("none.csv")), None).await;
    assert!(house.mistakes(result).starts_with("none.csv: can't be read: No such file"));
    let many = format!("phone\n{}", "nobody\n".repeat(150));
    let result = house.import_customers(many).await;
    assert!(house.mistakes(result).ends_with("and 50 more mistakes\nnothing was imported"));
}

#[tokio::test]
async fn an_import_works_while_a_server_writes() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let server = Store::open(&url).await.unwrap();
    let writer = server.writer();
    let house = House::new(&url).await;
    for number in 0..200 {
        let caller = allo::domain::CallerId::Anonymous;
        writer.record(
            crate::store::call(number),
            crate::store::at(0),
            crate::store::offered(caller),
        );
        if number % 50 == 0 {
            house.import_customers("phone,points\n+79161234567,5\n").await.unwrap();
        }
    }
    assert_eq!(writer.close(std::time::Duration::from_secs(30)).await, 0);
    assert_eq!(house.customers("+79161234567").await[0].points, Some(5));
}
