//! This recipe does what every recipe has to do.

recipe_suite::tests!(env!("CARGO_BIN_EXE_recipe-axum"));

#[test]
fn what_the_example_sends_is_taken() {
    recipe_suite::sender::what_the_example_sends_is_taken(std::path::Path::new(env!("CARGO_BIN_EXE_recipe-axum")));
}
