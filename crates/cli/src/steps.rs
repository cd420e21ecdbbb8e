//! Names of steps in settings: checked against the registry, so that a slip does not silently mean nothing.

use belvedere_domain::{Graph, StepName};
use belvedere_jobs::registry::{Need, Optional};

use crate::config::suggest::nearest;
use crate::exit::Advice;

/// The steps that a setting names.
///
/// # Errors
/// [`Advice`] for a name that no step has, with the one that was probably meant, or with all of them.
pub fn named(setting: &str, names: &[String], graph: &Graph) -> Result<Vec<StepName>, Advice> {
    let known: Vec<&str> = graph.steps().iter().map(|step| step.name).collect();
    for name in names {
        let optional = Optional::of(name).filter(|_| !known.contains(&name.as_str()));
        if let Some(optional) = optional {
            match optional.need() {
                Need::Feature(feature) => tracing::warn!(
                    "`{setting}` names the step `{name}`, for which the program must be built with `{feature}`"
                ),
                // A configuration may name what it does not turn on.
                Need::Setting(needed) => {
                    tracing::debug!("`{setting}` names the step `{name}`, for which `{needed}` is not set");
                }
            }
        } else if !known.contains(&name.as_str()) {
            let hint = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`? `belvedere admin graph` lists all steps"),
                None => format!("the steps are {}", known.join(", ")),
            };
            return Err(Advice::usage(format!("`{setting}` names the step `{name}`, which does not exist"), hint));
        }
    }
    Ok(names.iter().map(|name| StepName::read(name.clone())).collect())
}

#[cfg(test)]
mod tests {
    use belvedere_jobs::Registry;

    use super::*;

    fn hint(name: &str) -> Option<String> {
        let graph = Registry::with(crate::optional::STEPS).expect("a graph").graph();
        named("worker.job_types_only", &[name.to_owned()], &graph).err().map(|advice| advice.hint)
    }

    #[test]
    fn steps_of_this_version_and_of_the_reference_are_taken() {
        assert_eq!(hint("split-first-rows"), None);
        assert_eq!(hint("split-duckdb-index"), None);
        assert_eq!(hint("split-opt-in-out-urls-scan"), None);
        assert_eq!(hint("dataset-presidio-entities-count"), None);
    }

    #[test]
    fn a_slip_is_refused_with_what_was_meant() {
        let hint = hint("split-first-row").expect("refused");
        assert!(hint.starts_with("did you mean `split-first-rows`?"), "{hint}");
    }

    #[test]
    fn another_word_is_refused_with_all_steps() {
        let hint = hint("everything").expect("refused");
        assert!(hint.starts_with("the steps are dataset-init, "), "{hint}");
    }
}
