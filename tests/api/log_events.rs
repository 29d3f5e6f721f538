//! `docs/log-events.md` lists the events and spans that `src/` has, from level info up, and no others; its example is real.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use daraja::{
    B2cPayment, Payout, Shillings, StkPush,
    simulator::Simulator,
    webhook::{Delivery, Event, Inbox, Refused},
};

use crate::{secrets::Log, support::RECEIVER};

const PAGE: &str = include_str!("../../docs/log-events.md");

/// An event or a span: the level, the message or the name, and the fields. A field with a literal value has it:
/// `outcome = "paid"`.
type Row = (String, String, BTreeSet<String>);

/// A macro call of tracing in the sources: the macro's name and its arguments.
struct Call {
    name: String,
    arguments: Vec<String>,
    place: String,
}

impl Call {
    /// The row of an event: its message is the first literal, and the fields stand before it.
    fn event(&self) -> Row {
        let at = self.arguments.iter().position(|argument| argument.starts_with('"'));
        let at = at.unwrap_or_else(|| panic!("{}: an event without a message", self.place));
        (self.name.clone(), literal(&self.arguments[at]), self.fields(&self.arguments[..at]))
    }

    /// The row of a span: its name stands first.
    fn span(&self) -> Row {
        let (name, fields) = self.arguments.split_first().unwrap();
        (self.name.trim_end_matches("_span").to_owned(), literal(name), self.fields(fields))
    }

    fn fields(&self, arguments: &[String]) -> BTreeSet<String> {
        arguments.iter().map(|argument| self.field(argument)).collect()
    }

    fn field(&self, argument: &str) -> String {
        let (name, value) = argument.split_once(" = ").unwrap_or((argument, ""));
        let name = name.trim_start_matches(['%', '?']);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        assert!(!name.is_empty() && name.chars().all(is_name), "{}: `{argument}` is not read as a field", self.place);
        if value.starts_with('"') { format!("{name} = {value}") } else { name.to_owned() }
    }
}

/// A string literal as it is printed, with its placeholders.
fn literal(argument: &str) -> String {
    let inner = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
    let mut pieces = inner.split("\\\n");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + piece.trim_start()).replace("\\\"", "\"")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a file without comments and without the modules of tests.
fn code(text: &str) -> String {
    let (mut kept, mut lines) = (String::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{')) {
            lines.find(|line| *line == "}");
        } else if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// How long a string or character literal is that a text begins with.
fn literal_length(text: &str) -> Option<usize> {
    if text.starts_with('\'') {
        let end = text.char_indices().skip(2).take(2).find(|(_, c)| *c == '\'');
        return end.map(|(at, _)| at + 1);
    }
    let mut is_escaped = false;
    let end = text.strip_prefix('"')?.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    Some(end.unwrap() + 2)
}

/// The arguments of a call, from behind its opening parenthesis: split by the commas outside brackets and literals.
fn arguments(text: &str) -> Vec<String> {
    let (mut found, mut argument, mut depth, mut rest) = (Vec::new(), String::new(), 0, text);
    loop {
        let length = literal_length(rest).unwrap_or_else(|| rest.chars().next().unwrap().len_utf8());
        let (piece, after) = rest.split_at(length);
        match piece {
            ")" if depth == 0 => break,
            "," if depth == 0 => found.push(std::mem::take(&mut argument)),
            _ => {
                depth += i32::from(["(", "[", "{"].contains(&piece)) - i32::from([")", "]", "}"].contains(&piece));
                argument.push_str(piece);
            }
        }
        rest = after;
    }
    found.push(argument);
    found.into_iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

/// All calls of tracing's macros, apart from those of the simulator and of tests.
fn calls() -> Vec<Call> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    found.retain(|path| !path.starts_with(source.join("simulator")));
    let mut calls = Vec::new();
    for path in found {
        let (place, code) = (path.display().to_string(), code(&fs::read_to_string(&path).unwrap()));
        for import in code.lines().filter(|line| line.trim_start().starts_with("use tracing")) {
            assert_eq!(import, "use tracing::Instrument;", "{place}: write `tracing::` at each macro");
        }
        assert!(!code.contains("tracing::instrument"), "{place}: this test does not read the attribute");
        for (at, path) in code.match_indices("tracing::") {
            let rest = &code[at + path.len()..];
            let (name, rest) = rest.split_at(rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap());
            if let Some(inside) = rest.strip_prefix("!(") {
                calls.push(Call { name: name.to_owned(), arguments: arguments(inside), place: place.clone() });
            }
        }
    }
    calls
}

/// The events and the spans of the sources.
fn in_code() -> (BTreeSet<Row>, BTreeSet<Row>) {
    let (mut events, mut spans) = (BTreeSet::new(), BTreeSet::new());
    for call in calls() {
        match &*call.name {
            "error" | "warn" | "info" => _ = events.insert(call.event()),
            "error_span" | "warn_span" | "info_span" => _ = spans.insert(call.span()),
            "debug" | "trace" | "debug_span" | "trace_span" | "enabled" => {}
            other => panic!("{}: this test does not read `{other}!`", call.place),
        }
    }
    (events, spans)
}

/// A section of the page, up to the next heading of its level.
fn section(heading: &str) -> &'static str {
    let start = PAGE.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let text = &PAGE[start + heading.len() + 2..];
    &text[..text.find("\n## ").unwrap_or(text.len())]
}

/// The cells of the tables of a section, without their heads.
fn table(heading: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = section(heading).lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells.filter(|cells| !["level", "event"].contains(&cells[0]))
}

/// The texts in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn in_page(heading: &str) -> BTreeSet<Row> {
    let row = |cells: Vec<&str>| (cells[0].to_owned(), quoted(cells[1]).next().unwrap(), quoted(cells[2]).collect());
    let rows: Vec<Row> = table(heading).map(row).collect();
    let unique: BTreeSet<Row> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), unique.len(), "a row of {heading} is there twice");
    unique
}

#[track_caller]
fn assert_same(page: &BTreeSet<Row>, code: &BTreeSet<Row>) {
    let (missing, extra): (Vec<_>, Vec<_>) = (code.difference(page).collect(), page.difference(code).collect());
    let is_same = missing.is_empty() && extra.is_empty();
    assert!(is_same, "in src/ and not in docs/log-events.md: {missing:#?}\nin the page and not in src/: {extra:#?}");
}

#[test]
fn the_page_lists_the_events_of_the_sources_and_no_others() {
    let (code, page) = (in_code().0, in_page("## Events"));
    assert!(code.iter().any(|(level, ..)| level == "error"), "the sources are not read: {code:?}");
    assert_same(&page, &code);
}

#[test]
fn the_page_lists_the_spans_of_the_sources_and_no_others() {
    assert_same(&in_page("## Spans"), &in_code().1);
}

#[test]
fn each_event_has_a_place_in_what_to_alert_on() {
    let alerts: BTreeSet<String> = table("## What to alert on").map(|cells| quoted(cells[0]).next().unwrap()).collect();
    let events: BTreeSet<String> = in_page("## Events").into_iter().map(|(_, message, _)| message).collect();
    assert_eq!(alerts, events);
    let source = format!("`status={}`", Refused::Source.status());
    assert!(section("## What to alert on").contains(&source), "{source} is not in the page");
}

#[test]
fn calls_are_read_in_every_form_that_they_have() {
    let text = "tracing::info!(\n a, %b, ?c.d, e = f(1, \"x, )\"), g = \"paid\", h = ','.len(),\n \"one \\\n   {two} \\\"3\\\", 4\",\n);";
    let call = Call {
        name: "info".to_owned(),
        arguments: arguments(text.strip_prefix("tracing::info!(").unwrap()),
        place: String::new(),
    };
    let fields = ["a", "b", "c.d", "e", "g = \"paid\"", "h"].map(str::to_owned).into();
    assert_eq!(call.event(), ("info".to_owned(), "one {two} \"3\", 4".to_owned(), fields));
    let text = "a\n  // tracing::warn!(\"b\")\n#[cfg(test)]\nmod tests {\n    fn c() {\n    }\n}\nd\n";
    assert_eq!(code(text), "a\nd\n");
}

/// A customer pays, with the simulator in the place of Daraja.
async fn play_payment(simulator: &Simulator) {
    let (client, merchant, inbox) = (simulator.client(), simulator.merchant(), Inbox::new());
    let reference = "order-1042-1".parse().unwrap();
    let (payer, amount) = ("254708374149".parse().unwrap(), Shillings::new(500).unwrap());
    let push = StkPush::new(&merchant, payer, amount, "INV-001".parse().unwrap(), RECEIVER.urls().stk(&reference));
    let id = client.send(&push).await.unwrap().checkout_request_id;
    tokio::select! {
        settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&reference) => drop(settled.unwrap()),
        never = simulator.deliver_to(&RECEIVER, &inbox) => match never {},
    }
}

/// A supplier is paid.
async fn play_payout(simulator: &Simulator) {
    let (client, initiator) = (simulator.client(), simulator.initiator());
    let urls = RECEIVER.urls().payout(&"invoice-2071".parse().unwrap());
    let (recipient, amount) = ("254708374149".parse().unwrap(), Shillings::new(5_000).unwrap());
    let payment = B2cPayment::new(&initiator, simulator.b2c_short_code(), recipient, amount, urls.clone());
    let mut payout = Payout::new(payment.with_id("invoice-2071".parse().unwrap()));
    let sent = payout.begin(client.now()).unwrap().send(&client, &initiator, urls).await;
    payout.sent(&sent, client.now());
    let posted = simulator.next_result().await;
    let path = posted.url.strip_prefix("https://shop.example").unwrap();
    let safaricom = "196.201.214.200".parse::<std::net::IpAddr>().unwrap();
    let (_, event) = RECEIVER.accept(Delivery::new(safaricom, path, &posted.body)).unwrap();
    let Event::Result(result) = event else { panic!("{event:?}") };
    payout.take_result(&result.b2c().unwrap(), client.now()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_example_is_what_a_payment_logs() {
    let log = Log::of_all_tests();
    let start = "2026-11-23T09:00:00Z".parse().unwrap();
    let simulator = Simulator::builder().seed(7).starting_at(start).build();
    play_payment(&simulator).await;
    play_payout(&simulator).await;

    // The first word of a line is the time.
    let logged = log.text();
    let lines = logged.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start()));
    let ours = lines.filter(|line| !line.starts_with("DEBUG") && !line.contains("daraja::simulator"));
    let mut logged: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in ours {
        for id in ["order-1042-1", "invoice-2071"].into_iter().filter(|id| line.contains(id)) {
            logged.entry(id).or_default().push(line);
        }
    }
    let shown = section("## A payment in the log").split("```text\n").skip(1);
    let mut shown = shown.map(|rest| rest.split("\n```").next().unwrap().to_owned());
    for id in ["order-1042-1", "invoice-2071"] {
        assert_eq!(shown.next().unwrap(), logged[id].join("\n"), "the example of {id}");
    }
}
