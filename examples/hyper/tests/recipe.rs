//! This recipe does what every recipe has to do.

recipe_suite::tests!(env!("CARGO_BIN_EXE_recipe-hyper"));
