//! The types of entities, as the reference implementation counts them.

use std::fmt;

/// Declares the types with their names, and whether rules recognize them.
macro_rules! entity_types {
    ($($name:ident $text:literal $recognized:literal $doc:literal)*) => {
        /// What a part of a text is. The names are those of Presidio.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum EntityType {
            $(#[doc = $doc] $name,)*
        }

        impl EntityType {
            /// All types.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name: upper case with underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// True for types that rules recognize. The others need a language model: [`recognize`](crate::recognize) never
            /// finds them.
            pub const fn is_recognized(self) -> bool {
                match self { $(Self::$name => $recognized,)* }
            }
        }
    };
}

entity_types! {
    InVehicleRegistration "IN_VEHICLE_REGISTRATION" true "The registration of a vehicle in India."
    Organization "ORGANIZATION" false "A company or another organization."
    SgNricFin "SG_NRIC_FIN" true "The number of a resident of Singapore."
    Person "PERSON" false "The name of a person."
    CreditCard "CREDIT_CARD" true "The number of a payment card."
    MedicalLicense "MEDICAL_LICENSE" true "The number under which somebody in the United States may prescribe drugs."
    Nrp "NRP" false "Nationality, religion or political group."
    UsSsn "US_SSN" true "A social security number of the United States."
    Crypto "CRYPTO" true "The address of a Bitcoin wallet."
    DateTime "DATE_TIME" true "A date, with or without a time."
    Location "LOCATION" false "The name of a place."
    UsDriverLicense "US_DRIVER_LICENSE" true "A driver's license of the United States."
    PhoneNumber "PHONE_NUMBER" true "A telephone number."
    Url "URL" true "An address of the web."
    UsPassport "US_PASSPORT" true "A passport of the United States."
    Age "AGE" false "The age of a person."
    AuAcn "AU_ACN" true "The number of a company in Australia."
    EmailAddress "EMAIL_ADDRESS" true "An address of e-mail."
    InPan "IN_PAN" true "A permanent account number of India's tax office."
    IpAddress "IP_ADDRESS" true "An internet address."
    Id "ID" false "Any other number of a person."
    UsBankNumber "US_BANK_NUMBER" true "The number of a bank account in the United States."
    InAadhaar "IN_AADHAAR" true "The number of a resident of India."
    UsItin "US_ITIN" true "A taxpayer number of the United States."
    AuMedicare "AU_MEDICARE" true "A number of Australia's health insurance."
    IbanCode "IBAN_CODE" true "The international number of a bank account."
    AuTfn "AU_TFN" true "A number of Australia's tax office."
    UkNhs "UK_NHS" true "A patient's number in the United Kingdom."
    Email "EMAIL" false "An address of e-mail, as some language models call it."
    AuAbn "AU_ABN" true "The number of a business in Australia."
}

impl EntityType {
    /// The type of a name; `None` for names that are not counted.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|entity| entity.name() == name)
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_of_its_own() {
        assert_eq!(EntityType::ALL.len(), 30);
        for &entity in EntityType::ALL {
            assert_eq!(EntityType::parse(entity.name()), Some(entity));
        }
        assert_eq!(EntityType::parse("IT_FISCAL_CODE"), None);
    }
}
