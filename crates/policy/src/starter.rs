//! The policy that a new project begins with.

/// Returns the text of a policy for a new project: every rule that the chain of one machine can satisfy.
///
/// `name` is the policy's; `repository` and `branch` are what the source must come from; `suites` are the tests that
/// must pass, and without any the rule is left out. The text is one that [`crate::Policy::parse`] takes.
pub fn starter(name: &str, repository: &str, branch: &str, suites: &[String]) -> String {
    let list = |texts: &[String]| texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "# What an artifact must show before it goes live. Rules are judged one by one; all must pass, and evidence\n\
         # that is missing denies. `assay gate REF --env ENV` says what each found and what would help.\n\
         version = 1\n\
         name = {name}\n\
         \n\
         # Recipe and run were signed by a builder that trust.json accepts under one of these names.\n\
         [[rules]]\n\
         rule = \"signed-by\"\n\
         identities = [\"builder-*\"]\n\
         \n\
         # Every statement used here stands in a transparency log that trust.json accepts.\n\
         [[rules]]\n\
         rule = \"logged\"\n\
         \n\
         # The build could reach nothing but pinned inputs, and nothing of it went unseen.\n\
         [[rules]]\n\
         rule = \"complete-hermetic-build\"\n\
         levels = [\"full\", \"no-proc\"]\n\
         \n\
         # `*` stands for any characters.\n\
         [[rules]]\n\
         rule = \"source\"\n\
         repository = {repository}\n\
         branches = [{branch}]\n\
         \n\
         [[rules]]\n\
         rule = \"no-uncommitted-changes\"\n\
         \n\
         # `assay build --again` builds a second time and compares.\n\
         [[rules]]\n\
         rule = \"rebuilt\"\n\
         times = 2\n\
         \n",
        name = quote(name),
        repository = quote(repository),
        branch = quote(branch),
    );
    if !suites.is_empty() {
        text.push_str(&format!(
            "# None vanished: a case that passed for what is live now may not be missing.\n\
             [[rules]]\n\
             rule = \"tests-passed\"\n\
             suites = [{}]\n\
             none_vanished = true\n\
             \n",
            list(suites)
        ));
    }
    text.push_str(
        "# By the builder's clock.\n\
         [[rules]]\n\
         rule = \"age\"\n\
         max_days = 90\n\
         \n\
         # An earlier build of the same recipe, or a recorded checksum, may not disagree. `required = true` denies until\n\
         # there is one.\n\
         [[rules]]\n\
         rule = \"reference-digest\"\n\
         required = false\n",
    );
    text
}

/// Writes a TOML string.
fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
