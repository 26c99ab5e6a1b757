use std::time::Duration;

use super::house::{Callers, options_answered};
use super::support::hears;
use super::support::server::{Server, Setup};

const PLAN: &str = r#"language "ru"
timezone "Europe/Moscow"

number "200" {
    say "greeting" "goodbye" "greeting"
    hangup
}

number "100" {
    say "greeting"
    hangup
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_hears_all_that_it_is_told_while_others_flood() {
    let setup = Setup { plan: PLAN.to_owned(), ..Setup::default() };
    let server = Server::start(setup).await;
    let call = server.call("+79161112233", "200").await;
    let callers = Callers::new([127, 0, 0, 2], server.sip, true).await;
    let (_, flood) = tokio::join!(
        hears(&call, &["greeting", "goodbye", "greeting"]),
        callers.call(600, Duration::from_secs(4)),
    );
    assert_eq!(flood.refused_otherwise, 0, "{flood:?}");
    assert!(flood.answered > 0 && flood.lost() == 0, "{flood:?}");
    assert!(options_answered(server.sip).await < Duration::from_secs(1));
}
