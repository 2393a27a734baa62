//! What Circle sends and is sent. Fields that we do not use are ignored, fields that are missing in some of the documented
//! shapes are optional.

use super::money::cents;
use super::{
    Chain, Currency, DepositId, DepositStatus, MockWireStatus, Money, PayoutFailure, PayoutId, PayoutStatus,
    RecipientId, RecipientStatus, ReturnId, ReturnStatus, RiskDecision, SubscriptionId, SubscriptionStatus,
    TransferFailure, TransferId, TransferStatus, WalletId, WireId, WireStatus,
};
use crate::Error;
use domain::money::Units;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is at Circle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Balances {
    /// What can be used.
    #[serde(default)]
    pub available: Vec<Money>,
    /// What has come and cannot be used yet.
    #[serde(default)]
    pub unsettled: Vec<Money>,
}

impl Balances {
    /// Dollars, or USDC, that can be used.
    pub fn available_usd(&self) -> Units {
        usd(&self.available)
    }

    /// Dollars that have come and cannot be used yet.
    pub fn unsettled_usd(&self) -> Units {
        usd(&self.unsettled)
    }
}

fn usd(amounts: &[Money]) -> Units {
    Units(amounts.iter().filter_map(Money::as_usd).fold(0, |sum, units| sum.saturating_add(units.0)))
}

/// A number that opens a bank account: shown by its last four digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountNumber(pub String);

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.0.len().checked_sub(4).filter(|from| *from >= 4).and_then(|from| self.0.get(from..));
        write!(f, "****{}", tail.unwrap_or_default())
    }
}

/// How a bank account is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all_fields = "camelCase", untagged)]
pub enum BankAccount {
    /// In the US: ABA number; elsewhere without IBAN: SWIFT code.
    Number {
        /// The account.
        account_number: AccountNumber,
        /// The bank.
        routing_number: String,
    },
    /// By IBAN.
    Iban {
        /// The IBAN.
        iban: AccountNumber,
    },
}

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingDetails {
    /// The owner's name.
    pub name: String,
    /// City.
    pub city: String,
    /// Country, two letters.
    pub country: String,
    /// Street and number.
    pub line1: String,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// State, two letters; US and Canada only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    /// Postal code.
    pub postal_code: String,
}

/// Where the bank is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BankAddress {
    /// The bank's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_name: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Country, two letters.
    pub country: String,
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line1: Option<String>,
    /// State, two letters; US and Canada only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
}

/// A bank account to be made known to Circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewWire {
    /// Which account.
    #[serde(flatten)]
    pub account: BankAccount,
    /// Whose.
    pub billing_details: BillingDetails,
    /// At which bank.
    pub bank_address: BankAddress,
}

/// A bank account that Circle knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wire {
    /// Its id.
    pub id: WireId,
    /// Whether it can be used.
    pub status: WireStatus,
    /// Bank and last digits.
    pub description: Option<String>,
    /// What a wire's reference must say so that Circle books it for us.
    pub tracking_ref: Option<String>,
    /// The same for the same account.
    pub fingerprint: Option<String>,
    /// When it was made known.
    #[serde(default, deserialize_with = "date")]
    pub create_date: Option<OffsetDateTime>,
    /// When it last changed.
    #[serde(default, deserialize_with = "date")]
    pub update_date: Option<OffsetDateTime>,
}

/// How to send dollars to Circle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireInstructions {
    /// What the wire's reference must say.
    pub tracking_ref: String,
    /// Who gets it.
    pub beneficiary: Beneficiary,
    /// Where.
    pub beneficiary_bank: BeneficiaryBank,
}

/// Who a wire goes to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Beneficiary {
    /// Name.
    pub name: String,
    /// Address, first line.
    pub address1: Option<String>,
    /// Address, second line.
    pub address2: Option<String>,
}

/// The bank a wire goes to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BeneficiaryBank {
    /// Name.
    pub name: Option<String>,
    /// SWIFT code.
    pub swift_code: Option<String>,
    /// ABA number.
    pub routing_number: Option<String>,
    /// The account, which is ours alone.
    pub account_number: AccountNumber,
    /// In which currency.
    pub currency: Option<Currency>,
    /// Street and number.
    pub address: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country, two letters.
    pub country: Option<String>,
}

/// A wire that Circle's sandbox pretends has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMockWire {
    /// [`WireInstructions::tracking_ref`].
    pub tracking_ref: String,
    /// How much, in whole cents.
    pub amount: Money,
    /// [`BeneficiaryBank::account_number`].
    pub account_number: AccountNumber,
}

/// What the sandbox makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MockWire {
    /// The reference.
    pub tracking_ref: Option<String>,
    /// How much.
    pub amount: Money,
    /// Where it is.
    pub status: MockWireStatus,
}

/// What Circle's compliance says, and why, as a number between 3000 and 3699.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RiskEvaluation {
    /// Go on, stop, or wait.
    pub decision: RiskDecision,
    /// Why.
    #[serde(default, deserialize_with = "word_or_number")]
    pub reason: Option<String>,
}

/// Dollars that came from a bank. What comes from a chain is a [`Transfer`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "RawDeposit")]
pub struct Deposit {
    /// Its id.
    pub id: DepositId,
    /// Where from: a bank account ([`Wire::id`]) or what Circle calls so.
    pub source: Option<String>,
    /// The wallet it went to.
    pub wallet: Option<WalletId>,
    /// How much, in whole cents.
    pub amount: Money,
    /// What Circle keeps of it.
    pub fees: Vec<Money>,
    /// Where it is.
    pub status: DepositStatus,
    /// What Circle's compliance says.
    pub risk: Option<RiskEvaluation>,
    /// What the sender's wire said.
    pub customer_reference: Option<String>,
    /// When Circle saw it.
    pub create_date: Option<OffsetDateTime>,
    /// When it last changed.
    pub update_date: Option<OffsetDateTime>,
}

/// Both shapes of it: asked for (`fee`, `sourceWalletId`) and in a notification (`fees`, `source`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDeposit {
    id: DepositId,
    source: Option<Id>,
    source_wallet_id: Option<String>,
    destination: Option<RawWallet>,
    #[serde(deserialize_with = "cents")]
    amount: Money,
    #[serde(default, deserialize_with = "one_or_many")]
    fee: Vec<Money>,
    #[serde(default, deserialize_with = "one_or_many")]
    fees: Vec<Money>,
    status: DepositStatus,
    risk_evaluation: Option<RiskEvaluation>,
    customer_external_ref: Option<String>,
    #[serde(default, deserialize_with = "date")]
    create_date: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "date")]
    update_date: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct RawWallet {
    id: Option<WalletId>,
}

impl From<RawDeposit> for Deposit {
    fn from(raw: RawDeposit) -> Self {
        Self {
            id: raw.id,
            source: raw.source.map(|source| source.id).or(raw.source_wallet_id),
            wallet: raw.destination.and_then(|wallet| wallet.id),
            amount: raw.amount,
            fees: if raw.fees.is_empty() { raw.fee } else { raw.fees },
            status: raw.status,
            risk: raw.risk_evaluation,
            customer_reference: raw.customer_external_ref,
            create_date: raw.create_date,
            update_date: raw.update_date,
        }
    }
}

/// An address of ours on a chain: USDC that comes there is booked at Circle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositAddress {
    /// The address; an Ethereum one in lower case.
    pub address: String,
    /// A memo, on chains that have such things.
    pub address_tag: Option<String>,
    /// What may be sent there.
    pub currency: Currency,
    /// On which chain.
    pub chain: Chain,
}

/// An address on a chain that Circle is to be allowed to send to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewRecipient {
    /// The address.
    pub address: String,
    /// A memo, on chains that have such things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_tag: Option<String>,
    /// The chain.
    pub chain: Chain,
    /// What is sent.
    pub currency: Currency,
    /// For the administrator who has to approve it.
    pub description: String,
}

/// An address on a chain that Circle knows.
///
/// Circle lists only those that can be sent to: one that is not listed is not approved, whatever was said when it was made,
/// and one that is listed is approved, whether a status is said or not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// The address; an Ethereum one in lower case.
    pub address: String,
    /// A memo, on chains that have such things.
    pub address_tag: Option<String>,
    /// The chain.
    pub chain: Chain,
    /// What is sent.
    pub currency: Option<Currency>,
    /// What we said about it.
    pub description: Option<String>,
    /// Where it is on its way to be used.
    pub status: Option<RecipientStatus>,
}

/// Where money of a transfer is, or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a wallet at Circle.
    Wallet(WalletId),
    /// On a chain.
    Chain {
        /// Which chain.
        chain: Chain,
        /// The address, where Circle says it; an Ethereum one in lower case.
        address: Option<String>,
        /// A memo, on chains that have such things.
        tag: Option<String>,
    },
    /// Something we do not know: Circle's word for it.
    Other(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPlace {
    #[serde(rename = "type")]
    kind: String,
    id: Option<WalletId>,
    chain: Option<Chain>,
    address: Option<String>,
    address_tag: Option<String>,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawPlace::deserialize(deserializer)?;
        Ok(match (raw.kind.as_str(), raw.id, raw.chain) {
            ("wallet", Some(id), _) => Self::Wallet(id),
            ("blockchain", _, Some(chain)) => Self::Chain { chain, address: raw.address, tag: raw.address_tag },
            _ => Self::Other(raw.kind),
        })
    }
}

/// USDC that goes from a wallet at Circle to a chain, or comes from there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// From where.
    pub source: Place,
    /// To where.
    pub destination: Place,
    /// How much.
    pub amount: Money,
    /// What it costs beside.
    #[serde(default, deserialize_with = "one_or_many")]
    pub fees: Vec<Money>,
    /// The transaction, once it is on the wire.
    pub transaction_hash: Option<String>,
    /// Where it is.
    pub status: TransferStatus,
    /// Why it failed.
    #[serde(rename = "errorCode")]
    pub failure: Option<TransferFailure>,
    /// What Circle's compliance says.
    #[serde(rename = "riskEvaluation")]
    pub risk: Option<RiskEvaluation>,
    /// When it was taken on.
    #[serde(default, deserialize_with = "date")]
    pub create_date: Option<OffsetDateTime>,
}

/// Dollars that go to a bank; USDC is burned for them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// Its id.
    pub id: PayoutId,
    /// From which wallet.
    #[serde(rename = "sourceWalletId")]
    pub wallet: Option<WalletId>,
    /// To where.
    pub destination: PayoutDestination,
    /// How much, in whole cents.
    #[serde(deserialize_with = "cents")]
    pub amount: Money,
    /// What it costs beside.
    #[serde(default, deserialize_with = "one_or_many")]
    pub fees: Vec<Money>,
    /// Where it is.
    pub status: PayoutStatus,
    /// What the bank's statement says. Circle's lists leave it out.
    pub tracking_ref: Option<String>,
    /// Why it failed.
    #[serde(rename = "errorCode")]
    pub failure: Option<PayoutFailure>,
    /// What Circle's compliance says.
    #[serde(rename = "riskEvaluation")]
    pub risk: Option<RiskEvaluation>,
    /// It came back, possibly long after it was complete.
    #[serde(rename = "return")]
    pub returned: Option<PayoutReturn>,
    /// When it was taken on.
    #[serde(default, deserialize_with = "date")]
    pub create_date: Option<OffsetDateTime>,
    /// When it last changed.
    #[serde(default, deserialize_with = "date")]
    pub update_date: Option<OffsetDateTime>,
}

/// Where a payout goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PayoutDestination {
    /// How: `wire`.
    #[serde(rename = "type")]
    pub kind: String,
    /// To which bank account: [`Wire::id`].
    pub id: String,
    /// Bank and last digits.
    pub name: Option<String>,
}

/// A payout that came back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutReturn {
    /// Its id.
    pub id: ReturnId,
    /// The payout.
    pub payout_id: Option<PayoutId>,
    /// How much came back, in whole cents.
    #[serde(deserialize_with = "cents")]
    pub amount: Money,
    /// What that cost.
    #[serde(default, deserialize_with = "one_or_many")]
    pub fees: Vec<Money>,
    /// Why, in the bank's words.
    pub reason: Option<String>,
    /// Where the money is.
    pub status: ReturnStatus,
    /// When it came back.
    #[serde(default, deserialize_with = "date")]
    pub create_date: Option<OffsetDateTime>,
}

/// Where notifications are sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// To which URL.
    pub endpoint: String,
    /// What became of it.
    #[serde(default)]
    pub subscription_details: Vec<SubscriptionDetail>,
}

/// One of a subscription's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SubscriptionDetail {
    /// To which URL.
    pub url: String,
    /// Amazon's name for it.
    pub arn: Option<String>,
    /// Whether notifications come.
    pub status: SubscriptionStatus,
}

/// A time as Circle writes it. One that cannot be read is none: it must not hide the money beside it.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok()))
}

/// Fees are an amount in some shapes and a list in others.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Money>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Many(Vec<Money>),
        One(Money),
    }
    Ok(match Option::<Either>::deserialize(deserializer)? {
        Some(Either::Many(many)) => many,
        Some(Either::One(one)) => vec![one],
        None => Vec::new(),
    })
}

fn word_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<serde_json::Value>::deserialize(deserializer)? {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(word)) => Some(word),
        Some(other) => Some(other.to_string()),
    })
}

impl NewMockWire {
    pub(super) fn body(&self) -> Result<serde_json::Value, Error> {
        self.amount.positive()?.in_cents()?;
        Ok(serde_json::json!({
            "trackingRef": self.tracking_ref,
            "amount": self.amount,
            "beneficiaryBank": {"accountNumber": self.account_number},
        }))
    }
}
