//! The names under which steps are asked for.

use belvedere_domain::{Graph, StepName};
use belvedere_jobs::registry::Optional;

/// Short names of the service of 2022, when there was one step per endpoint.
const SHORT: [(&str, &str); 3] =
    [("splits", "dataset-split-names"), ("first-rows", "split-first-rows"), ("parquet", "dataset-parquet")];

/// Every name with its step: all steps of the graph, and the short names of those that it has.
pub(super) fn names(graph: &Graph) -> Vec<(String, StepName)> {
    let own = graph.steps().iter().map(|step| (step.name.to_owned(), step.step_name()));
    let short = SHORT.iter().filter_map(|(short, step)| {
        let step = StepName::known(step);
        graph.step(&step).map(|_| ((*short).to_owned(), step))
    });
    own.chain(short).collect()
}

/// Steps that this program has with other features or settings.
pub(super) fn not_there(graph: &Graph) -> Vec<&'static str> {
    let all = Optional::ALL.iter().flat_map(|group| group.steps());
    all.filter(|step| graph.step(&StepName::known(step)).is_none()).collect()
}
