use super::*;

#[test]
fn what_may_pass_is_tried_again() {
    let check = |ended, tried, expected: Option<u64>| {
        assert_eq!(pause(ended, tried), expected.map(Duration::from_millis), "{ended:?} after {tried}");
    };
    check(Ended::Answered(200, None), 1, None);
    check(Ended::Answered(404, None), 1, None);
    check(Ended::Answered(401, None), 1, None);
    check(Ended::Answered(500, None), 1, Some(250));
    check(Ended::Answered(502, None), 2, Some(500));
    check(Ended::Answered(503, None), 3, Some(1000));
    check(Ended::Answered(504, None), 4, Some(2000));
    check(Ended::Answered(504, None), 5, None);
    check(Ended::Answered(501, None), 1, None);
    check(Ended::Answered(507, None), 1, None);
    check(Ended::Broken, 1, Some(250));
    check(Ended::Broken, TRIES, None);
    check(Ended::Unconnected, 1, None);
}

#[test]
fn retry_after_is_obeyed_within_reason() {
    let check = |status, after, expected: Option<u64>| {
        assert_eq!(
            pause(Ended::Answered(status, Some(after)), 1),
            expected.map(Duration::from_millis),
            "{status} {after}"
        );
    };
    check(429, "2", Some(2000));
    check(503, " 3 ", Some(3000));
    check(429, "0", Some(250));
    check(429, "60", Some(60_000));
    check(429, "61", None);
    check(429, "99999999999999999999", Some(250));
    check(429, "-1", Some(250));
    check(429, "Fri, 31 Dec 1999 23:59:59 GMT", Some(250));
    check(500, "2", Some(250));
    check(404, "2", None);
}
