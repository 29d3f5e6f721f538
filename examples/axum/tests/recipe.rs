//! This recipe does what every recipe has to do.

recipe_suite::tests!(env!("CARGO_BIN_EXE_recipe-axum"));

#[test]
fn what_the_example_posts_is_accepted() {
    recipe_suite::sender::what_the_example_posts_is_accepted(std::path::Path::new(env!("CARGO_BIN_EXE_recipe-axum")));
}
