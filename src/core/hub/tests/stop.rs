//! A server that stops.

use super::{HUNG_UP, House};
use crate::core::Command;
use crate::domain::CallFact;

#[test]
fn a_server_that_stops_writes_down_the_conversations_whose_wrap_up_it_cuts_short() {
    let mut house = House::with(&["anna"], |_| ());
    let caller = house.customer("+79161112233");
    house.pick_up("anna");
    house.pass(30_000);
    house.end(caller.leg, HUNG_UP.0, HUNG_UP.1);
    house.pass(5_000);
    let mut commands = Vec::new();
    house.hub.stop(house.now, &mut commands);
    let [Command::Record { call, fact: CallFact::Conversed(talk) }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((*call, talk.talk_ms, talk.wrap_up_ms), (caller.call, 30_000, 5_000));
}
