//! What is said of a leg that is closed.

use super::*;

#[test]
fn closing_says_goodbye_by_rtcp_and_tells_what_the_stream_was_like() {
    let mut house = House::new(14_120);
    let mut phone = house.call(|_| {});
    house.play(phone.leg, 1, &["long"]);
    phone.hear_until_sound();
    phone.say(&[Codec::Pcma.silence(); 1600]);
    phone.sequence += 2;
    phone.say(&[Codec::Pcma.silence(); 160]);
    phone.press('0');
    assert_eq!(house.event(), pressed(&phone, '0', KeySource::Event));
    house.engine.handle().close(phone.leg);
    let MediaEvent::PlayEnded { .. } = house.event() else { panic!("the play was not cut") };
    let MediaEvent::Closed { statistics, .. } = house.event() else { panic!("not closed") };
    assert_eq!(statistics.packets_lost, 2);
    // The key was told at its first packet; the end may come before its other six are read.
    assert!((11 + 1..=11 + 7).contains(&statistics.packets_received), "{statistics:?}");
    assert!(statistics.packets_sent >= 1);

    let mut buffer = [0; 512];
    loop {
        let length = phone.rtcp.recv(&mut buffer).unwrap();
        let packets = ::rtcp::packet::unmarshal(&mut &buffer[..length]).unwrap();
        if packets.last().is_some_and(|last| last.as_any().is::<::rtcp::goodbye::Goodbye>()) {
            let report = packets[0].as_any();
            let report = report.downcast_ref::<::rtcp::sender_report::SenderReport>().unwrap();
            assert_eq!(u64::from(report.packet_count), statistics.packets_sent);
            assert_eq!(report.reports[0].total_lost, 2);
            break;
        }
    }
}

#[test]
fn of_a_leg_that_is_closed_only_the_play_that_had_begun_is_told() {
    let mut house = House::new(14_780);
    let phone = house.call(|_| {});
    house.play(phone.leg, 1, &["long"]);
    (2..9).for_each(|play| house.play(phone.leg, play, &["short"]));
    phone.hear_until_sound();
    house.engine.handle().close(phone.leg);
    let MediaEvent::PlayEnded { play, cut_after_ms: Some(heard_ms), .. } = house.event() else {
        panic!("the play was not cut")
    };
    assert_eq!(play, PlayId(1));
    assert!(heard_ms >= 20, "{heard_ms} ms");
    assert!(matches!(house.event(), MediaEvent::Closed { leg, .. } if leg == phone.leg));
}
