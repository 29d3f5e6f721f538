//! What was computed last, asked for by several at once.

use std::convert::Infallible;

use crate::{
    recent::Recent,
    sync::Arc,
    world::{explore, spawn},
};

type Numbers = Recent<u32, (u32, u32), 2>;

/// The number that belongs to a key; one is made with the help of another.
fn get(recent: &Numbers, key: u32, made_by: u32) -> u32 {
    let make = || {
        if key > 0 {
            get(recent, key - 1, made_by);
        }
        Ok::<_, Infallible>((key, (key * 10, made_by)))
    };
    let (number, _) = recent.get(|known| *known == key, make).unwrap_or_else(|never| match never {});
    number
}

/// Three callers, three keys, and room for two.
pub fn a_value_belongs_to_its_key() {
    explore(|| async {
        let recent = Arc::new(Numbers::default());
        let callers = [0, 1, 2].map(|caller| {
            let recent = recent.clone();
            spawn(async move {
                for key in [caller, 1, 2] {
                    assert_eq!(get(&recent, key, caller), key * 10);
                }
            })
        });
        for caller in callers {
            caller.await.expect("no panic");
        }
    });
}
