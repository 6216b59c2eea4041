//! What a provider needs to know beside its address and its key: region, project, API version and
//! the like. Most are parts of the address, which is a template then (`{region}`).

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// The settings of one provider. Which of them mean anything is its kind's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderSettings {
    /// A cloud region, `us-east-1`.
    pub region: Option<String>,
    /// A project, by id or number.
    pub project: Option<String>,
    /// A location, which may be a region, a multi-region or `global`.
    pub location: Option<String>,
    /// The first part of the host's name.
    pub resource: Option<String>,
    /// The version of the interface, where it is asked for with each request.
    pub api_version: Option<String>,
    /// Model id to the name it is deployed under; a model that is not here is deployed under its
    /// own.
    pub deployments: BTreeMap<String, String>,
    /// Model id to the model it stands for, where the id does not say.
    pub base_models: BTreeMap<String, String>,
    /// Which of its models are reached in OpenAI's Responses; `None` leaves it to the catalogue.
    pub responses: Option<Chosen>,
}

/// Some of a provider's models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    All,
    None,
    /// Those whose id [`fits`] one of these.
    These(Vec<String>),
}

/// A setting of a kind of provider that is one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    Region,
    Project,
    Location,
    Resource,
    ApiVersion,
}

// === impl Setting ===

impl Setting {
    pub const ALL: [Self; 5] = [Self::Region, Self::Project, Self::Location, Self::Resource, Self::ApiVersion];

    /// Its name in the file, and in the template of an address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Project => "project",
            Self::Location => "location",
            Self::Resource => "resource",
            Self::ApiVersion => "api-version",
        }
    }
}

// === impl Chosen ===

impl Chosen {
    pub fn has(&self, model: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::These(patterns) => patterns.iter().any(|pattern| fits(pattern, model)),
        }
    }
}

impl fmt::Display for Chosen {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("true"),
            Self::None => f.write_str("false"),
            Self::These(patterns) => f.write_str(&patterns.join(", ")),
        }
    }
}

/// Whether `name` fits `pattern`, which may have a `*` at either end.
pub fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

// === impl ProviderSettings ===

impl ProviderSettings {
    pub fn get(&self, setting: Setting) -> Option<&str> {
        match setting {
            Setting::Region => self.region.as_deref(),
            Setting::Project => self.project.as_deref(),
            Setting::Location => self.location.as_deref(),
            Setting::Resource => self.resource.as_deref(),
            Setting::ApiVersion => self.api_version.as_deref(),
        }
    }

    pub(super) fn set(&mut self, setting: Setting, value: Option<String>) {
        let place = match setting {
            Setting::Region => &mut self.region,
            Setting::Project => &mut self.project,
            Setting::Location => &mut self.location,
            Setting::Resource => &mut self.resource,
            Setting::ApiVersion => &mut self.api_version,
        };
        *place = value;
    }

    /// The name a model is deployed under.
    pub fn deployment<'a>(&'a self, model: &'a str) -> &'a str {
        self.deployments.get(model).map_or(model, String::as_str)
    }

    /// The model that this id stands for, as far as is known.
    pub fn base<'a>(&'a self, model: &'a str) -> &'a str {
        self.base_models.get(model).map_or(model, String::as_str)
    }

    /// Fills the places of a template. Fails with the first setting that is not there.
    pub(super) fn fill(&self, template: &str) -> Result<String, Setting> {
        let mut filled = template.to_owned();
        for setting in Setting::ALL {
            let place = format!("{{{}}}", setting.name());
            if filled.contains(&place) {
                filled = filled.replace(&place, self.get(setting).ok_or(setting)?);
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_or_says_what_is_missing() {
        let mut settings = ProviderSettings::default();
        let template = "https://{region}.host/{project}/{region}";
        assert_eq!(settings.fill(template), Err(Setting::Region));
        settings.set(Setting::Region, Some("eu".into()));
        assert_eq!(settings.fill(template), Err(Setting::Project));
        settings.set(Setting::Project, Some("p".into()));
        assert_eq!(settings.fill(template).unwrap(), "https://eu.host/p/eu");
        assert_eq!(settings.fill("https://host/v1").unwrap(), "https://host/v1");
    }

    #[test]
    fn patterns_fit_at_either_end() {
        for (pattern, name, expected) in [
            ("o3", "o3", true),
            ("o3", "o3-mini", false),
            ("kimi-*", "kimi-k3", true),
            ("kimi-*", "moonshot-kimi", false),
            ("*-reasoning", "grok-4-reasoning", true),
            ("*oss*", "openai/gpt-oss-120b", true),
            ("*", "anything", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        let some = Chosen::These(vec!["*oss*".into(), "o3".into()]);
        assert!(some.has("gpt-oss-20b") && some.has("o3") && !some.has("o4"));
        assert!(Chosen::All.has("o4") && !Chosen::None.has("o3"));
    }

    #[test]
    fn a_model_is_deployed_under_its_own_name_unless_another_is_given() {
        let mut settings = ProviderSettings::default();
        settings.deployments.insert("gpt-5".into(), "prod-gpt".into());
        assert_eq!((settings.deployment("gpt-5"), settings.deployment("o3")), ("prod-gpt", "o3"));
    }
}
