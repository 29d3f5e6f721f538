//! What nobody should send, and somebody will.

use serde_json::{Value, json};

/// Numbers that follow from a seed: xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        assert_ne!(seed, 0);
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % end
    }

    pub(crate) fn text(&mut self) -> String {
        const PARTS: [char; 24] = [
            'a', 'Z', '0', '9', ' ', '\'', '"', '\\', ';', '-', '%', '$', '{', '<', '&', '\0', '\n', '\u{7f}',
            '\u{85}', '\u{202e}', '\u{fffd}', 'ß', '漢', '🦀',
        ];
        (0..=self.below(40)).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

const TEXTS: [&str; 38] = [
    "",
    " ",
    "\n",
    "\0",
    "a\0b",
    "\u{1b}[31m\u{7}",
    "\u{202e}gro.live",
    "\u{feff}",
    "🦀🦀",
    "İİİİ",
    "٢٥٤٧٠٨٣٧٤١٤٩",
    "２５４７０８３７４１４９",
    "' OR '1'='1",
    "'; DROP TABLE orders; --",
    "\"; DELETE FROM payouts; --",
    "1); UPDATE payouts SET status = 'completed'; --",
    "' UNION SELECT password_hash FROM users --",
    "admin'--",
    "\\'; SELECT pg_sleep(20); --",
    "$1",
    "%",
    "_%",
    "?1",
    "../../shop.db",
    "..%2f..%2fshop.db",
    "%00",
    "file:///shop.db",
    "${jndi:ldap://127.0.0.1/x}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "null",
    "true",
    "-1",
    "1e309",
    "00000000-0000-0000-0000-000000000000",
    "254708374149",
    "+254 (708) 374-149",
    "SG632NMUAB",
];

/// Texts for a form or a parameter.
pub(crate) fn texts(random: &mut Random) -> Vec<String> {
    let fixed = TEXTS.into_iter().map(str::to_owned);
    let long = ["x".repeat(50_000), "9".repeat(5_000), "é".repeat(210)];
    let made: Vec<_> = (0..4).map(|_| random.text()).collect();
    fixed.chain(long).chain(made).collect()
}

/// Values for a field of a body.
pub(crate) fn values(random: &mut Random) -> Vec<Value> {
    let others = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([null]),
        json!({"$ne": null}),
        json!([[[[[["x"]]]]]]),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(0.000_000_1),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(250_001),
        json!("x".repeat(100_000)),
        json!(vec!["x"; 5_000]),
    ];
    texts(random).into_iter().map(Value::from).chain(others).collect()
}

/// Bodies that are no JSON, or hardly.
pub(crate) fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "[",
        "nul",
        "{\"a\":}",
        "{'a': 1}",
        "\u{feff}{}",
        "{}{}",
        "[1, 2",
        "{\"order_id\": 1e999}",
        "NaN",
        "{\"order_id\": \"\\ud800\"}",
        "{\"order_id\": \"x\", \"order_id\": \"y\"}",
        "{\"a\": \"\n\"}",
        "null",
        "[]",
        "0",
        "\"x\"",
        "order_id=1&phone_number=0712345678",
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///x\">]><x>&e;</x>",
    ]
    .into_iter()
    .map(|body| body.as_bytes().to_vec())
    .collect();
    bodies.push(b"{\"order_id\": \"\xff\xfe\"}".to_vec());
    bodies.push("[".repeat(60_000).into_bytes());
    bodies.push("{\"a\":".repeat(10_000).into_bytes());
    bodies.push(vec![0; 1_000]);
    bodies
}

/// What a body may call itself.
pub(crate) const KINDS: [&str; 9] = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json;;;=\"",
    "application/",
    "",
    "é",
];

/// Ids as they stand in a path.
pub(crate) fn ids(random: &mut Random) -> Vec<String> {
    let tricks = [
        "",
        ".",
        "..",
        "%2e%2e",
        "..%2f..%2fadmin",
        "..%5c..%5cadmin",
        "%2e%2e%2f",
        "%00",
        "x%00",
        "%0d%0aX-Other:%20yes",
        "%ff%fe",
        "%",
        "%zz",
        "%u0041",
        "%252e%252e",
        ";x=y",
        "*",
        "~",
        "null",
        "0",
        "-1",
        "x%2fy",
        "%2f",
        "/",
        "//",
        "x/../y",
        "00000000000000000000000000000000",
        "%7B00000000-0000-0000-0000-000000000000%7D",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "00000000-0000-4000-8000-00000000000G",
    ];
    let texts: Vec<_> = texts(random).iter().filter(|text| text.len() < 2_000).map(|text| encoded(text)).collect();
    let long = ["a".repeat(8_000), "%41".repeat(2_500), "0".repeat(36)];
    tricks.into_iter().map(str::to_owned).chain(texts).chain(long).collect()
}

/// A text as a part of a URL: every byte that could mean something there is escaped.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}
