//! Tempo's own contracts, which Anvil has from the start, and a token of ours made by them. Accounts pay their fees in the
//! dollars of the chain, of which every account of [`crate::DEV_ACCOUNTS`] has plenty.

use alloy::primitives::{Address, B256, U256, address, b256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::SolCall;

use crate::contracts::{Call, Gas, call, send};
use crate::{Error, Node};

/// Makes tokens.
pub const FACTORY: Address = address!("20fc000000000000000000000000000000000000");

/// The chain's first dollar: fees are paid in it where nothing else is said.
pub const PATH_USD: Address = address!("20c0000000000000000000000000000000000000");

/// The role that mints, and burns what it has itself.
pub const ISSUER_ROLE: B256 = b256!("114e74f6ea3bd819998f78687bfcb11b140da08e9b7d222fa9c1f1ba1f2aa122");

/// Gas for a token.
const GAS_TO_CREATE: u64 = 5_000_000;

sol! {
    interface ITIP20Factory {
        function createToken(string name, string symbol, string currency, address quoteToken, address admin, bytes32 salt)
            returns (address);
        function getTokenAddress(address sender, bytes32 salt) returns (address);
    }

    interface ITIP20 {
        function grantRole(bytes32 role, address account);
        function transferWithMemo(address to, uint256 amount, bytes32 memo);
        function mintWithMemo(address to, uint256 amount, bytes32 memo);
        function burnWithMemo(uint256 amount, bytes32 memo);
    }
}

/// Makes a token with six decimals, a dollar, of which `admin` and the `issuers` may mint and burn. The same `symbol` of the
/// same admin is one token.
pub async fn create_token(
    node: &Node,
    admin: &PrivateKeySigner,
    symbol: &str,
    issuers: &[Address],
) -> Result<Address, Error> {
    let salt = keccak256(symbol);
    let create = ITIP20Factory::createTokenCall {
        name: symbol.to_owned(),
        symbol: symbol.to_owned(),
        currency: "USD".to_owned(),
        quoteToken: PATH_USD,
        admin: admin.address(),
        salt,
    };
    send(node, admin, vec![Call { to: Some(FACTORY), input: create.abi_encode().into(), gas: GAS_TO_CREATE }]).await?;
    let token = call(node, FACTORY, ITIP20Factory::getTokenAddressCall { sender: admin.address(), salt }).await?;
    let issuers = std::iter::once(admin.address()).chain(issuers.iter().copied());
    send(node, admin, issuers.map(|issuer| grant(token, issuer)).collect()).await?;
    Ok(token)
}

/// Lets more accounts mint and burn a token, among them contracts.
pub async fn grant_issuer(
    node: &Node,
    admin: &PrivateKeySigner,
    token: Address,
    issuers: &[Address],
) -> Result<(), Error> {
    send(node, admin, issuers.iter().map(|issuer| grant(token, *issuer)).collect()).await
}

/// Sends an amount of a token with a memo.
pub async fn transfer_with_memo(
    node: &Node,
    from: &PrivateKeySigner,
    token: Address,
    (to, amount, memo): (Address, u128, B256),
) -> Result<(), Error> {
    let transfer = ITIP20::transferWithMemoCall { to, amount: U256::from(amount), memo };
    send(node, from, vec![Call { to: Some(token), input: transfer.abi_encode().into(), gas: Gas::TEMPO.call }]).await
}

fn grant(token: Address, account: Address) -> Call {
    let input = ITIP20::grantRoleCall { role: ISSUER_ROLE, account }.abi_encode().into();
    Call { to: Some(token), input, gas: Gas::TEMPO.call }
}
