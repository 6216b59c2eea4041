//! Where a target is asked.
//!
//! Nearly every target has one path, so its address is put together once and then shared: that costs
//! a tenth of writing and reading it again.

use std::sync::OnceLock;

use http::Uri;

use crate::error::{Error, Result};

/// The address that was made first, and its path.
#[derive(Debug, Default)]
pub struct Address(OnceLock<(Box<str>, Uri)>);

impl Address {
    /// The address of `path` below `base_url`, which must be the same in every call. A `400` where the
    /// model's id cannot stand in it, as that is the only part in which a client has a say (rule X3).
    pub fn of(&self, base_url: &str, path: &str) -> Result<Uri> {
        if let Some((known, uri)) = self.0.get()
            && **known == *path
        {
            return Ok(uri.clone());
        }
        let uri = Uri::try_from(format!("{base_url}/{path}"))
            .map_err(|_| Error::invalid("The model id holds characters that no URL can.", "model", "invalid_value"))?;
        // Whoever came first is kept.
        _ = self.0.set((path.into(), uri.clone()));
        Ok(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_own_address() {
        let address = Address::default();
        for path in ["a", "b", "a", "b/c?d=1"] {
            let uri = address.of("http://127.0.0.1:1/v1", path).unwrap();
            assert_eq!(uri.to_string(), format!("http://127.0.0.1:1/v1/{path}"));
        }
        assert!(matches!(address.of("http://127.0.0.1:1/v1", "a b"), Err(Error::Invalid { .. })));
    }
}
