//! The demo's server: in this process, on free ports of this machine, with a database of its own
//! that is gone afterwards.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::DemoServer;
use crate::app::{Server, plans};
use crate::config::{Config, CrmSource, DatabaseUrl, Listen, Period};
use crate::crm::{Crm as _, EmbeddedCrm};
use crate::domain::PhoneNumber;

/// Anna, of the sample customers.
const CUSTOMER: &str = "+79161112233";

/// Starts a server with the plans and recordings of `config` and the sample customers.
pub async fn start(config: Config) -> anyhow::Result<DemoServer> {
    let folder = Folder::create()?;
    let config = on_free_ports(config, &folder);
    let phone = PhoneNumber::parse(CUSTOMER, config.sip.region)
        .context("the sample customer's number is no number")?;
    let loaded = plans::load(&config)?;
    let (number, script) = loaded
        .plan
        .numbers
        .iter()
        .next()
        .and_then(|(number, entry)| Some((number, loaded.plan.scripts.get(&entry.script)?)))
        .context("the plan answers no number")?;
    let (language, zone) = (script.language, script.timezone.clone());
    let number = number.to_string();
    let prompts = config.prompts.folder.clone();
    let server = Server::start(config).await?;
    let crm = EmbeddedCrm::new(server.store().pool().clone());
    let customer = crm.customers(&phone).await?.into_iter().next();
    Ok(DemoServer {
        sip: server.udp_address().context("the server listens on no UDP port")?,
        number,
        phone,
        customer: customer.context("the sample customer is not in the CRM")?,
        language,
        today: crate::app::clock::Clock::start().now().in_zone(&zone).date(),
        catalogue: loaded.catalogue,
        prompts,
        stop: Box::pin(async move {
            server.shutdown().await;
            drop(folder);
        }),
    })
}

pub(super) fn on_free_ports(mut config: Config, folder: &Folder) -> Config {
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.sip.listen = vec![Listen::udp(free_port), Listen::tcp(free_port)];
    config.web.listen = free_port;
    config.database.url = DatabaseUrl::Sqlite(folder.0.join("demo.db"));
    config.crm.source = CrmSource::Embedded;
    config.shutdown.drain = Period::seconds(1);
    config
}

/// A folder that is removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("allo-demo-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path).with_context(|| format!("can't create {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the system's temporary folder is the system's to clean up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
