//! `dataset-presidio-entities-count`: rows with personal data, added up over the splits of a dataset. Splits that could not be
//! scanned add nothing, and the scan is not full then.

use std::collections::BTreeSet;

use async_trait::async_trait;
use belvedere_domain::{ArtifactKey, Level, Step, StepName, View};
use belvedere_entities::EntityType;
use belvedere_store::Found;

use crate::content::{DatasetSplitNames, PresidioEntitiesCount, PresidioScan};
use crate::job::{Job, JobContext, JobError, Ready, WithProgressOf as _, ok_content};
use crate::split::presidio_scan::not_enabled;

const STEP: Step = Step::dataset("dataset-presidio-entities-count")
    .triggered_by(&["dataset-split-names", "split-presidio-scan"])
    .version(1)
    .difficulty(20)
    .background();

/// Types that alone can do harm.
const SENSITIVE: [EntityType; 4] =
    [EntityType::CreditCard, EntityType::UsSsn, EntityType::UsPassport, EntityType::IbanCode];

pub(crate) struct PresidioEntitiesCountJob;

#[async_trait]
impl Job for PresidioEntitiesCountJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let is_covered = ctx.settings().scans.presidio_entities.datasets.covers(&ctx.key.dataset);
        ctx.input("covered", &is_covered);
        if !is_covered {
            return Err(not_enabled());
        }
        let names = ctx.at(StepName::known("dataset-split-names"), Level::Dataset);
        let names = ctx.parent::<DatasetSplitNames>(&names).await?;
        let step = StepName::known("split-presidio-scan");
        let keys: Vec<_> = (names.content.splits.into_iter())
            .map(|item| ArtifactKey::split(step.clone(), item.dataset, item.config, item.split))
            .collect();
        let found = ctx.read_all(&keys).await?;
        let content = sum(&found);
        let parents = std::iter::once(Some(&names.found)).chain(found.iter().map(Option::as_ref));
        Ok(View::ok(&content).with_progress_of(parents).into())
    }
}

fn sum(splits: &[Option<Found>]) -> PresidioEntitiesCount {
    let scans: Vec<Option<PresidioScan>> = splits.iter().map(|found| ok_content(found.as_ref())).collect();
    let mut content = PresidioEntitiesCount { full_scan: scans.iter().all(Option::is_some), ..Default::default() };
    let mut columns = BTreeSet::new();
    let mut unrecognized = BTreeSet::new();
    for scan in scans.into_iter().flatten() {
        let rows = |entity: EntityType| scan.rows_with(entity);
        content.num_rows_with_person_entities += rows(EntityType::Person);
        content.num_rows_with_phone_number_entities += rows(EntityType::PhoneNumber);
        content.num_rows_with_email_address_entities += rows(EntityType::EmailAddress);
        content.num_rows_with_sensitive_pii += SENSITIVE.into_iter().map(rows).sum::<u64>();
        content.num_scanned_rows += scan.num_scanned_rows;
        content.has_scanned_columns |= scan.has_scanned_columns;
        content.full_scan &= scan.full_scan != Some(false);
        unrecognized.extend(scan.unrecognized_entity_types);
        columns.extend(scan.scanned_columns);
    }
    content.scanned_columns = columns.into_iter().collect();
    content.unrecognized_entity_types = unrecognized.into_iter().collect();
    content
}
