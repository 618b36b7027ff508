use expect_test::expect;
use sandbox::outcome::{Exit, Network, Process};

use super::*;

fn process(argv: &str, exit: Exit) -> Process {
    let sample = crate::record::tests::outcome_sample();
    let argv = argv.split(' ').map(str::to_owned).collect();
    Process { argv, exit, ..sample.processes[0].clone() }
}

fn network(process: usize, address: &str, loopback: bool, errno: i32) -> Network {
    Network { process, call: "connect".to_owned(), address: address.to_owned(), loopback, errno, count: 1 }
}

#[test]
fn what_turned_to_the_network_or_would_have_fetched_is_named_with_its_command() {
    let mut outcome = crate::record::tests::outcome_sample();
    outcome.processes = vec![
        process("sh -c npm install left-pad", Exit::Code(1)),
        process("node /toolchain/node/bin/npm install left-pad", Exit::Code(1)),
        process("python3 -m pip install requests", Exit::Code(1)),
        process("python3 -m pip install -r requirements.txt", Exit::Code(1)),
        process("cargo build --locked", Exit::Code(101)),
        process("curl https://x.example/y", Exit::Code(6)),
        process("./fetch.py", Exit::Code(0)),
        process("npm ci", Exit::Code(0)),
        process("env npm install x", Exit::Exec(8)),
    ];
    outcome.network = vec![
        network(6, "192.0.2.1:443", false, 101),
        network(5, "127.0.0.1:53", true, 111),
        network(4, "127.0.0.1:8080", true, 111),
    ];
    for (id, process) in outcome.processes.iter_mut().enumerate() {
        process.id = id;
    }
    let mut trace = Vec::new();
    let mut writer = sandbox::trace::Writer::new(&mut trace).expect("begun");
    let events = crate::record::tests::events(&outcome);
    events.iter().for_each(|event| writer.write(event).expect("written"));
    writer.finish().expect("finished");
    let lines: Vec<String> = of(&trace[..], &outcome.steps).expect("a trace").iter().map(ToString::to_string).collect();
    expect![[r#"
        step `compile`, process 2, `node /toolchain/node/bin/npm install left-pad`: `npm install` fetches or installs what nothing pins
        step `compile`, process 2, `python3 -m pip install requests`: `python3 -m pip install` fetches or installs what nothing pins
        step `compile`, process 2, `curl https://x.example/y`: `curl` needs a network, and a step has none
        step `compile`, process 2, `curl https://x.example/y`: asked for a host's address
        step `compile`, process 2, `./fetch.py`: connect 192.0.2.1:443"#]].assert_eq(&lines.join("\n"));
}
