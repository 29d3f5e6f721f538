//! Settings leave no secret behind in memory that was given back: a process of its own reads itself.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
};

use daraja::Settings;

/// Written backwards, so that they stand in memory as they are only where somebody made them.
const CONSUMER_SECRET: &str = "detnalp-eerht-rebmun-terces-gnol-a";
const PASSWORD: &str = "detnalp-owt-rebmun-drowssap-gnol-a";
const CONTROL: &str = "detnalp-orez-rebmun-gniht-gnol-a";

/// An allocator writes over the beginning of what it was given back, so the end is looked for.
const LOOKED_FOR: usize = 18;

const PAGE: usize = 4_096;

/// With blanks around it, of a size whose place nothing else takes when it is given back.
fn wide(reversed: &str) -> String {
    let mut wide = " ".repeat(3_000);
    wide.extend(reversed.chars().rev());
    wide.push('\n');
    wide
}

/// How often the end of it stands in writable memory. It is compared byte by byte, so that no copy is made.
fn count(reversed: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut pages = vec![0; 2 * PAGE];
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ") && !line.contains('/')) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        if to - from > 256 << 20 {
            continue;
        }
        for at in (from..to).step_by(PAGE) {
            // With the page behind it, but for the last one.
            let length = if to - at > PAGE as u64 { 2 * PAGE } else { PAGE };
            let is_read = memory.seek(SeekFrom::Start(at)).is_ok() && memory.read_exact(&mut pages[..length]).is_ok();
            if !is_read {
                break;
            }
            let begins = |start: &usize| {
                let end = &reversed.as_bytes()[..LOOKED_FOR];
                pages[*start..length].len() >= LOOKED_FOR
                    && end.iter().rev().zip(&pages[*start..length]).all(|(one, other)| one == other)
            };
            found += (0..PAGE).filter(begins).count();
            // Not to be found in its turn.
            pages.fill(0);
        }
    }
    found
}

#[test]
#[ignore = "run by the next test, in a process of its own"]
fn in_a_process_of_its_own() {
    let settings = Settings::from_lookup(|name| match name {
        "MPESA_ENVIRONMENT" => Some("sandbox".to_owned()),
        "MPESA_CONSUMER_SECRET" => Some(wide(CONSUMER_SECRET)),
        "MPESA_CONSUMER_KEY" => Some("plain".to_owned()),
        _ => None,
    });
    let settings = settings.unwrap();
    assert!(count(CONSUMER_SECRET) > 0, "it is kept");
    drop(settings);
    assert_eq!(count(CONSUMER_SECRET), 0);
    let settings = Settings::from_lookup(|name| match name {
        "MPESA_ENVIRONMENT" => Some("sandbox".to_owned()),
        "MPESA_CONSUMER_KEY" | "MPESA_CONSUMER_SECRET" | "MPESA_B2C_INITIATOR_NAME" => Some("plain".to_owned()),
        "MPESA_B2C_INITIATOR_PASSWORD" => Some(wide(PASSWORD)),
        "MPESA_B2C_SHORTCODE" => Some("600000".to_owned()),
        "MPESA_B2C_RESULT_URL" => Some("https://shop.example/results".to_owned()),
        "MPESA_B2C_TIMEOUT_URL" => Some("https://shop.example/timeouts".to_owned()),
        _ => None,
    });
    drop(settings.unwrap());
    assert_eq!(count(PASSWORD), 0);
    let control = wide(CONTROL);
    assert!(count(CONTROL) > 0, "what is there is found");
    drop(control);
}

#[test]
fn settings_leave_no_secret_in_memory_that_was_given_back() {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrets::freed::in_a_process_of_its_own", "--ignored"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && printed.contains("1 passed"), "{printed}{}", String::from_utf8_lossy(&run.stderr));
}
