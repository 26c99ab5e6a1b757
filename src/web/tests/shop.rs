//! What happens in a shop, and what is owed to its customers.

use super::*;

async fn start_shop() -> (SocketAddr, Arc<Mutex<Vec<ShopEvent>>>) {
    let ((feeds, _), (intake, kept)) = (house(), intake());
    let settings = settings("127.0.0.1:0", None);
    let web = Web::start(&settings, well(), feeds, intake, CancellationToken::new()).await;
    (web.unwrap().address(), kept)
}

#[tokio::test]
async fn events_of_the_shop_are_answered_once_they_are_kept() {
    let (address, kept) = start_shop().await;
    let one = r#"{"event": "balance.low", "phone": "8 916 123-45-67", "id": 7, "balance": 40.5}"#;
    let answer = post(address, "/api/events", JSON, one).await;
    assert_eq!(answer, (202, json!({"new": 1, "repeated": 0})));
    let answer = post(address, "/api/events", JSON, &format!("[{one},{one},{one}]")).await;
    assert_eq!(answer, (202, json!({"new": 1, "repeated": 2})));
    let kept = kept.lock().unwrap();
    assert_eq!((kept.len(), kept[0].values["balance"].as_str()), (4, "40.5"));
}

#[tokio::test]
async fn of_a_wrong_request_nothing_is_kept() {
    let (address, kept) = start_shop().await;
    let right = r#"{"event": "delayed", "phone": "+79161234567"}"#;
    let wrong = format!(r#"[{right}, {{"event": "delayed", "phone": "nobody"}}]"#);
    let (status, answer) = post(address, "/api/events", JSON, &wrong).await;
    let error = json!({"error": "event 2: field phone: not a phone number"});
    assert_eq!((status, answer), (400, error));
    for (headers, body, expected) in [
        ("", right, 415),
        ("Content-Type: text/plain\r\n", right, 415),
        (&*format!("{JSON}Origin: http://shop.example\r\n"), right, 403),
        (&*format!("{JSON}Origin: null\r\n"), right, 403),
        (JSON, &*" ".repeat(1024 * 1024 + 1), 413),
    ] {
        let (status, answer) = post(address, "/api/events", headers, body).await;
        assert_eq!(status, expected, "{headers}");
        assert!(answer["error"].is_string(), "{headers} {answer}");
    }
    let broken = right.replace("delayed", "broken");
    assert_eq!(post(address, "/api/events", JSON, &broken).await.0, 503);
    assert!(kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_owed_is_told_by_due_time_in_the_shape_that_the_docs_show() {
    let (address, ..) = start(None).await;
    let owed = get_json(address, "/api/promises").await;
    assert_eq!((&owed["open"], &owed["late"]), (&json!(2), &json!(1)));
    let incident = json!({
        "promise": "00000000-0000-0000-0000-000000000384", "kind": "incident", "name": "",
        "phone": "+7916•••4567", "group": "support", "state": "scheduled", "made": 500, "due": 900,
        "late": true, "next-at": 840, "attempts": 1, "note": "busy; again at 12:40",
        "rehearsal": false
    });
    assert_eq!(owed["promises"][0], incident);
    assert_eq!(owed["promises"][1]["kind"], "callback-missed");
}

#[tokio::test]
async fn a_robot_is_seen_stopped_and_resumed() {
    let (address, ..) = start(None).await;
    let robot = json!({
        "name": "low balance", "stopped": true, "since": 400, "left": 3, "up": 1, "done": 7,
        "answered": 5, "opted-out": 1, "ends": null
    });
    assert_eq!(get_json(address, "/api/robots").await, json!([robot]));
    for (deed, stopped) in [("stop", true), ("resume", false)] {
        let answer = post(address, &format!("/api/robots/low%20balance/{deed}"), "", "").await;
        assert_eq!(answer, (200, json!({"name": "low balance", "stopped": stopped})));
        assert_eq!(post(address, &format!("/api/robots/high/{deed}"), "", "").await.0, 404);
        let foreign = "Origin: http://shop.example\r\n";
        let path = format!("/api/robots/low%20balance/{deed}");
        assert_eq!(post(address, &path, foreign, "").await.0, 403);
        assert_eq!(get(address, &path, "").await.0, 405);
    }
}

#[tokio::test]
async fn promises_are_events_with_all_that_the_list_tells() {
    let (address, events, _shutdown) = start(None).await;
    let mut stream = ask(address, "/api/events", "").await;
    read_until(&mut stream, "event: state").await;
    let [missed, incident] = &promises()[..] else { panic!("two promises") };
    events.tell(Timestamp(5), WebEvent::PromiseMade(Box::new(missed.clone())));
    events.tell(Timestamp(6), WebEvent::PromiseOverdue(Box::new(incident.clone())));
    let text = read_until(&mut stream, "\"kind\":\"incident\"").await;
    assert!(text.contains("event: promise-made\nid: 1\n"), "{text}");
    assert!(text.contains("event: promise-overdue\nid: 2\n"), "{text}");
    assert!(text.contains("\"phone\":\"+7916•••4567\""), "{text}");
}
