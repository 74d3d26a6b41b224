//! What a study searches for.

use prost_types::value::Kind as Plain;
use prost_types::{Struct, Value};

use crate::v1;
use crate::v1::study_spec::Source;

/// The plain form of a specification. `Client::create_from` takes the whole request.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    request: v1::CreateStudyRequest,
}

impl Spec {
    /// Targets are addresses of units; each is a search, and all advance together.
    pub fn of<T: Into<String>>(targets: impl IntoIterator<Item = T>) -> Spec {
        let mut spec = Spec::default();
        spec.budget().queries_per_target = 1000;
        for target in targets {
            spec = spec.target(vec![target.into()]);
        }
        spec
    }

    /// One more target, which is the mean of these units.
    pub fn target(mut self, units: Vec<String>) -> Spec {
        let objective = v1::Objective {
            quantities: units,
            ..Default::default()
        };
        self.message().targets.push(objective);
        self
    }

    /// A small letter, then small letters, digits, hyphens; the server chooses one without it.
    pub fn study_id(mut self, id: impl Into<String>) -> Spec {
        self.request.study_id = id.into();
        self
    }

    /// A registered generator, whose latents are searched.
    pub fn generator(mut self, name: impl Into<String>) -> Spec {
        let generator = v1::GeneratorSpec {
            name: name.into(),
            ..Default::default()
        };
        self.message().source = Some(Source::Generator(generator));
        self
    }

    /// A bare space instead of a generator, whose points clients evaluate.
    pub fn space(mut self, space: v1::Space) -> Spec {
        self.message().source = Some(Source::Space(space));
        self
    }

    /// A registered oracle; without one, clients measure.
    pub fn oracle(mut self, name: impl Into<String>) -> Spec {
        self.message().oracle = name.into();
        self
    }

    /// A registered optimizer; `auto` without it.
    pub fn optimizer(mut self, name: impl Into<String>) -> Spec {
        self.plug_in().name = name.into();
        self
    }

    /// A parameter of the optimizer: `Kind::NumberValue`, `StringValue` or `BoolValue`.
    pub fn parameter(mut self, name: impl Into<String>, value: Plain) -> Spec {
        let parameters = self
            .plug_in()
            .parameters
            .get_or_insert_with(Struct::default);
        parameters
            .fields
            .insert(name.into(), Value { kind: Some(value) });
        self
    }

    /// The largest number of rows measured for each target; 1000 without it.
    pub fn queries_per_target(mut self, queries: i32) -> Spec {
        self.budget().queries_per_target = queries;
        self
    }

    /// The longest time of the search.
    pub fn seconds(mut self, limit: f64) -> Spec {
        self.budget().seconds = Some(limit);
        self
    }

    /// A target is finished when its best score reaches this.
    pub fn target_score(mut self, score: f64) -> Spec {
        self.budget().target_score = Some(score);
        self
    }

    /// A target is finished after this many generations without a better score.
    pub fn patience(mut self, generations: i32) -> Spec {
        self.budget().patience = Some(generations);
        self
    }

    /// Determines every random number; the server draws a seed without it.
    pub fn seed(mut self, seed: i64) -> Spec {
        self.message().seed = Some(seed);
        self
    }

    /// A label, by which studies can be listed.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Spec {
        self.message().labels.insert(key.into(), value.into());
        self
    }

    /// The request that creates the study, to be completed.
    pub fn request(self) -> v1::CreateStudyRequest {
        self.request
    }

    fn message(&mut self) -> &mut v1::StudySpec {
        self.request.spec.get_or_insert_with(Default::default)
    }

    fn budget(&mut self) -> &mut v1::Budget {
        self.message().budget.get_or_insert_with(Default::default)
    }

    fn plug_in(&mut self) -> &mut v1::PlugIn {
        let auto = || v1::PlugIn {
            name: "auto".to_owned(),
            ..Default::default()
        };
        self.message().optimizer.get_or_insert_with(auto)
    }
}
