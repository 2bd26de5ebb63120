//! The agent's answer about invitations, as fields of text.

use super::broken_off;
use crate::base::error::Result;
use crate::config::model::Name;

/// State of an invitation, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationStatus {
    /// Name of the site in the invitation.
    pub name: Name,
    /// Progress of the invitation.
    pub stage: Stage,
    /// Seconds for which the token is still good.
    pub left: u64,
    /// Public key of the site that has used the token or waits for a yes, and its wishes.
    pub details: String,
}

/// Progress of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No site has come.
    Open,
    /// A site waits for a yes.
    Waits,
    /// A site has joined.
    Used,
    /// A person has revoked the token.
    Revoked,
    /// No site has come in time.
    Expired,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Open, Self::Waits, Self::Used, Self::Revoked, Self::Expired];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waits => "waits for a yes",
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl InvitationStatus {
    /// Returns the fields of an answer: four for each invitation.
    pub fn into_fields(all: Vec<Self>) -> Vec<String> {
        let mut fields = Vec::with_capacity(4 * all.len());
        for Self { name, stage, left, details } in all {
            fields.extend([name, stage.as_str().to_owned(), left.to_string(), details]);
        }
        fields
    }

    /// Parses the fields of an answer.
    pub fn from_fields(fields: &[String]) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for four in fields.chunks(4) {
            let [name, stage, left, details] = four else { return Err(broken_off()) };
            let stage = Stage::ALL.into_iter().find(|known| known.as_str() == stage);
            let (Some(stage), Ok(left)) = (stage, left.parse()) else { return Err(broken_off()) };
            all.push(Self { name: name.clone(), stage, left, details: details.clone() });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed_fields_are_the_encoded_ones() {
        let all = Stage::ALL.map(|stage| InvitationStatus {
            name: "paris".to_owned(),
            stage,
            left: 3,
            details: "key".to_owned(),
        });
        let fields = InvitationStatus::into_fields(all.to_vec());
        assert_eq!(InvitationStatus::from_fields(&fields).unwrap(), all);
        assert!(InvitationStatus::from_fields(&fields[1..]).is_err());
        assert!(InvitationStatus::from_fields(&fields[..3]).is_err());
    }
}
