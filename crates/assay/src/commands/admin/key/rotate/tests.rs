use super::*;

#[test]
fn durations_have_a_unit_and_limits() {
    for (text, seconds) in [("1m", 60), ("60s", 60), ("2h", 7200), ("30d", 2_592_000), ("3650d", FAR_S)] {
        assert_eq!(overlap_s(text).expect("a duration"), seconds, "{text}");
    }
    for text in ["", "d", "7", "59s", "0d", "-1d", "+1d", "1.5d", "7 d", "7w", "3651d", "99999999999999999999d", "٣d"]
    {
        assert_eq!(overlap_s(text).expect_err("refused").code, "usage", "{text}");
    }
}

#[test]
fn a_beginning_is_not_past_and_not_far() {
    let now: Timestamp = "2026-11-22T19:41:00Z".parse().expect("a time");
    assert_eq!(beginning(None, now).expect("now"), now);
    assert_eq!(beginning(Some(now), now).expect("now"), now);
    for at in [now.plus_s(-1), now.plus_s(FAR_S + 1)] {
        assert_eq!(beginning(Some(at), now).expect_err("refused").code, "usage", "{at}");
    }
}
