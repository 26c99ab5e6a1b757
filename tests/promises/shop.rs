//! A hotline whose customers can be called.

use std::time::Duration;

use allo::domain::{Promise, PromiseKind};
use allo::phone::{Provider, ProviderOptions, Script};
use allo::store::PromiseFilter;

use crate::house::House;
use crate::support::eventually;
use crate::support::server::Setup;

/// Waited for what needs robots, operators and customers.
pub const LATER: Duration = Duration::from_secs(40);

pub struct Shop {
    pub house: House,
    pub provider: Provider,
}

impl Shop {
    /// `plan` is what stands beside the number of the line and the group `support`.
    pub async fn open(plan: &str, at_work: &[&str]) -> Self {
        Self::open_with(plan, at_work, "").await
    }

    /// The same with more settings of the trunk.
    pub async fn open_with(plan: &str, at_work: &[&str], trunk: &str) -> Self {
        let provider = Provider::start(ProviderOptions::default()).await.unwrap();
        let plan = format!(
            "language \"ru\"\ntimezone \"Europe/Moscow\"\n\
             number \"300\" {{ queue \"support\" }}\n{plan}\n"
        );
        let settings =
            format!("[[trunk]]\nname = \"net\"\naddress = \"{}\"\n{trunk}\n", provider.address());
        let setup = Setup { plan, settings, ..Setup::default() };
        let house = House::of_plan(at_work, setup).await;
        Self { house, provider }
    }

    /// All promises of a kind, once they tell what is looked for.
    pub async fn promises<T>(
        &self,
        what: &str,
        kind: PromiseKind,
        find: impl Fn(&[Promise]) -> Option<T>,
    ) -> T {
        eventually(what, LATER, async || {
            let all = self.house.store.promises(&PromiseFilter::default()).await.unwrap();
            let promises: Vec<Promise> = all
                .into_iter()
                .map(|record| record.promise)
                .filter(|promise| promise.kind == kind)
                .collect();
            find(&promises)
        })
        .await
    }
}

/// Picks up and presses these keys: `2s,5`.
pub fn presses(keys: &str) -> Script {
    Script::picks_up(Duration::from_millis(200)).play(&keys.parse().unwrap())
}
