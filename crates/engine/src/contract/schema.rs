use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{OUTCOME_SCHEMA, PREDICTION_SCHEMA};

macro_rules! schema_name {
    ($(#[$doc:meta])* $name:ident, $text:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str($text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let given = String::deserialize(d)?;
                if given == $text {
                    Ok($name)
                } else {
                    Err(serde::de::Error::custom(format!(
                        "schema is '{given}', this program reads '{}'",
                        $text
                    )))
                }
            }
        }
    };
}

schema_name! {
    /// The `schema` field of a prediction; reading refuses any other name.
    PredictionSchema, PREDICTION_SCHEMA
}
schema_name! {
    /// The `schema` field of an outcome; reading refuses any other name.
    OutcomeSchema, OUTCOME_SCHEMA
}
