//! A study of a server.

use std::sync::Arc;
use std::time::Duration;

use crate::connect::{Link, PAGE_SIZE};
use crate::tensor::{filled, Tensor};
use crate::watch::Watch;
use crate::{v1, Result};

/// A handle of a study; the server has all data.
#[derive(Clone, Debug)]
pub struct Study {
    /// The study's id.
    pub id: String,
    /// The study as the server answered when `create` made or found it.
    pub created: Option<v1::Study>,
    pub(crate) link: Arc<Link>,
    pub(crate) name: String,
}

/// The best candidate of one target.
#[derive(Clone, Debug)]
pub struct Best {
    /// (D,) float32, or int64 codes.
    pub latent: Tensor,
    /// None unless stimuli were asked for.
    pub stimulus: Option<Tensor>,
    /// Everything that the server said of it, without latent and stimulus.
    pub message: v1::Best,
}

impl Study {
    pub(crate) fn new(link: Arc<Link>, id: String) -> Study {
        let name = format!("studies/{id}");
        Study {
            id,
            created: None,
            link,
            name,
        }
    }

    /// The study as it stands.
    pub async fn get(&self) -> Result<v1::Study> {
        let request = v1::GetStudyRequest {
            name: self.name.clone(),
            ..Default::default()
        };
        let mut stub = self.link.studies.clone();
        let answer = self.link.call(stub.get_study(request)).await?;
        Ok(answer.study.unwrap_or_default())
    }

    /// Pauses the study: no candidates are handed out or evaluated until it is resumed.
    pub async fn pause(&self) -> Result<v1::Study> {
        let request = v1::PauseStudyRequest {
            name: self.name.clone(),
        };
        let mut stub = self.link.studies.clone();
        let answer = self.link.call(stub.pause_study(request)).await?;
        Ok(answer.study.unwrap_or_default())
    }

    /// Sets a paused or failed study going; with `adopt` with the server's present model and
    /// generator.
    pub async fn resume(&self, adopt: bool) -> Result<v1::Study> {
        let request = v1::ResumeStudyRequest {
            name: self.name.clone(),
            adopt,
        };
        let mut stub = self.link.studies.clone();
        let answer = self.link.call(stub.resume_study(request)).await?;
        Ok(answer.study.unwrap_or_default())
    }

    /// Ends the study for good.
    pub async fn cancel(&self) -> Result<v1::Study> {
        let request = v1::CancelStudyRequest {
            name: self.name.clone(),
        };
        let mut stub = self.link.studies.clone();
        let answer = self.link.call(stub.cancel_study(request)).await?;
        Ok(answer.study.unwrap_or_default())
    }

    /// Raises the budget; what is not set stays as it is. An exhausted study continues.
    pub async fn extend(&self, budget: v1::Budget) -> Result<v1::Study> {
        let request = v1::ExtendStudyRequest {
            name: self.name.clone(),
            budget: Some(budget),
        };
        let mut stub = self.link.studies.clone();
        let answer = self.link.call(stub.extend_study(request)).await?;
        Ok(answer.study.unwrap_or_default())
    }

    /// Deletes the study and all its data.
    pub async fn delete(&self) -> Result<()> {
        let request = v1::DeleteStudyRequest {
            name: self.name.clone(),
        };
        let mut stub = self.link.studies.clone();
        self.link.call(stub.delete_study(request)).await?;
        Ok(())
    }

    /// The best candidate of each target that has one; with its stimulus of this dtype, if any.
    pub async fn best(&self, stimuli: Option<v1::Dtype>, targets: &[i32]) -> Result<Vec<Best>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::GetBestRequest {
                name: self.name.clone(),
                with_stimuli: stimuli.is_some(),
                stimulus_dtype: stimuli.unwrap_or_default() as i32,
                targets: targets.to_vec(),
                page_token: token,
                ..Default::default()
            };
            let mut stub = self.link.studies.clone();
            let page = self.link.call(stub.get_best(request)).await?;
            for message in page.best {
                all.push(best_of(message)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The scores of the generations that closed after number `after`, in order.
    pub async fn generations(&self, after: Option<i32>) -> Result<Vec<v1::Generation>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::ListGenerationsRequest {
                name: self.name.clone(),
                page_size: PAGE_SIZE,
                page_token: token,
                after_generation: after,
                ..Default::default()
            };
            let mut stub = self.link.studies.clone();
            let page = self.link.call(stub.list_generations(request)).await?;
            all.extend(page.generations);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The events after a sequence number in order, until the study ends, also over restarts of
    /// the server. Events of generations that follow each other faster than `min_interval` are
    /// left out.
    pub fn watch(&self, after_sequence: i64, min_interval: Duration) -> Watch {
        Watch::new(
            self.link.clone(),
            self.name.clone(),
            after_sequence,
            min_interval,
        )
    }

    /// Waits until the study has ended or is paused.
    pub async fn wait(&self) -> Result<v1::Study> {
        loop {
            let now = self.get().await?;
            if !matches!(
                now.state(),
                v1::StudyState::Pending | v1::StudyState::Running
            ) {
                return Ok(now);
            }
            let mut watch = self.watch(now.sequence, Duration::from_secs(1));
            while let Some(event) = watch.next().await? {
                if matches!(event.event, Some(v1::study_event::Event::StateChanged(_))) {
                    break;
                }
            }
        }
    }
}

fn best_of(mut message: v1::Best) -> Result<Best> {
    let latent = tensor_of(message.latent.take().unwrap_or_default(), "latent")?;
    let stimulus = match message.stimulus.take() {
        Some(stimulus) => Some(tensor_of(stimulus, "stimulus")?),
        None => None,
    };
    Ok(Best {
        latent,
        stimulus,
        message,
    })
}

/// The tensor in a message.
pub(crate) fn tensor_of(message: v1::Tensor, field: &str) -> Result<Tensor> {
    filled(message.dtype, &message.shape, message.data, field)
}

/// A tensor as a message; without its data as a header.
pub(crate) fn message_of(tensor: &Tensor, data: Vec<u8>) -> v1::Tensor {
    v1::Tensor {
        dtype: tensor.dtype.number(),
        shape: tensor.shape.iter().map(|length| *length as i64).collect(),
        data,
    }
}
