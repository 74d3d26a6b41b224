//! A client of one server: studies.

use std::collections::HashMap;
use std::sync::Arc;

use crate::connect::{Link, API_VERSION, PAGE_SIZE};
use crate::error::{Error, Kind};
use crate::spec::Spec;
use crate::study::Study;
use crate::{v1, Result};

/// A connection to one server. Cheap to clone, and usable from any task. Made by
/// [`Connect`](crate::Connect).
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) link: Arc<Link>,
}

impl Client {
    pub(crate) fn new(link: Link) -> Client {
        Client {
            link: Arc::new(link),
        }
    }

    pub(crate) async fn check_version(&self) -> Result<()> {
        let theirs = self.server_info().await?.api_version;
        if theirs == API_VERSION {
            return Ok(());
        }
        let spoken = if theirs.is_empty() {
            "unknown"
        } else {
            &theirs
        };
        let message = format!(
            "the server at {} speaks version {spoken} of the API, this client version \
             {API_VERSION}; use the client of the server's version",
            self.link.target
        );
        Err(Error::new(Kind::Unsupported, message))
    }

    /// What the server says of itself.
    pub async fn server_info(&self) -> Result<v1::GetServerInfoResponse> {
        let mut stub = self.link.catalog.clone();
        self.link
            .call(stub.get_server_info(v1::GetServerInfoRequest {}))
            .await
    }

    /// Creates a study, or returns the one that is there under the id with the same specification.
    ///
    /// The error is of the kind `StudyExists` if the study has another specification.
    pub async fn create(&self, spec: Spec) -> Result<Study> {
        let request = spec.request();
        self.create_from(request).await
    }

    /// Creates the study that a request describes. It has no id if it was only validated.
    pub async fn create_from(&self, request: v1::CreateStudyRequest) -> Result<Study> {
        let mut stub = self.link.studies.clone();
        let answer = self.link.call(stub.create_study(request)).await?;
        let created = answer.study.unwrap_or_default();
        let id = created.name.trim_start_matches("studies/").to_owned();
        let mut study = self.handle(id);
        study.created = Some(created);
        Ok(study)
    }

    /// The study with this id, which must exist.
    pub async fn study(&self, id: &str) -> Result<Study> {
        let study = self.handle(id);
        study.get().await?;
        Ok(study)
    }

    /// A handle of the study with this id, without a call to the server.
    pub fn handle(&self, id: impl Into<String>) -> Study {
        Study::new(self.link.clone(), id.into())
    }

    /// The studies in one of the states (all if there are none) with all the labels, by id.
    pub async fn studies(
        &self,
        states: &[v1::StudyState],
        labels: HashMap<String, String>,
    ) -> Result<Vec<v1::Study>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::ListStudiesRequest {
                page_size: PAGE_SIZE,
                page_token: token,
                states: states.iter().map(|state| *state as i32).collect(),
                labels: labels.clone(),
                ..Default::default()
            };
            let mut stub = self.link.studies.clone();
            let page = self.link.call(stub.list_studies(request)).await?;
            all.extend(page.studies);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }
}
