//! Our contracts are where they should be.

use std::time::{Duration, Instant};

use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::SolCall;
use test_chain::contracts::{
    Admin, Attested, GateOptions, balance_of, decimals_of, deploy, deploy_gates, mint, role_id,
};
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS};

sol! {
    function canCall(address caller, address target, bytes4 selector) returns (bool immediate, uint32 delay);
    function hasRole(uint64 role, address account) returns (bool isMember, uint32 executionDelay);
}

const DEPLOYMENT: &str = include_str!("../../../contracts/artifacts/deployment.json");

fn owner() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&DEV_ACCOUNTS[0].private_key).unwrap()
}

#[tokio::test]
async fn deploys_the_escrow_where_it_is_everywhere_and_a_token_like_usdc() {
    let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
    let (rich, poor) = (DEV_ACCOUNTS[1].address, DEV_ACCOUNTS[2].address);
    let begin = Instant::now();
    let deployed = deploy(&anvil, &owner(), &[(rich, 1_000_000_000), (poor, 1)]).await.unwrap();
    println!("deployed in {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(anvil.block("latest").await.unwrap().0, 1, "all in one block");

    let published: serde_json::Value = serde_json::from_str(DEPLOYMENT).unwrap();
    let escrow: Address = serde_json::from_value(published["escrow"].clone()).unwrap();
    let purse: B256 = serde_json::from_value(published["purseInitCodeHash"].clone()).unwrap();
    assert_eq!((deployed.escrow, deployed.purse_init_code_hash), (escrow, purse));
    assert!(!anvil.provider().get_code_at(escrow).await.unwrap().is_empty());

    assert_eq!(decimals_of(&anvil, deployed.token).await.unwrap(), 6);
    assert_eq!(balance_of(&anvil, deployed.token, rich).await.unwrap(), U256::from(1_000_000_000));
    assert_eq!(balance_of(&anvil, deployed.token, poor).await.unwrap(), U256::from(1));
}

#[tokio::test]
async fn a_second_deployment_only_mints() {
    let anvil = Anvil::start(AnvilOptions::default()).await.unwrap();
    let account = Address::repeat_byte(9);
    let balance = async |token| balance_of(&anvil, token, account).await.unwrap();
    let first = deploy(&anvil, &owner(), &[(account, 5)]).await.unwrap();
    let second = deploy(&anvil, &owner(), &[(account, 7)]).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(balance(first.token).await, U256::from(12));
    mint(&anvil, &owner(), first.token, &[(account, 1), (account, 2)]).await.unwrap();
    assert_eq!(balance(first.token).await, U256::from(15));

    let stranger = PrivateKeySigner::from_bytes(&DEV_ACCOUNTS[3].private_key).unwrap();
    let refused = mint(&anvil, &stranger, first.token, &[(account, 1)]).await.unwrap_err();
    assert!(refused.to_string().contains("revert"), "{refused}");
}

/// The committed table, with its delays and a real Safe: the keeper may settle, the canceller cancel, nobody the other's, and who
/// deployed is nobody any more.
#[tokio::test]
async fn gates_are_governed_by_a_safe_as_the_table_says() {
    let anvil = Anvil::start(AnvilOptions::default()).await.unwrap();
    let deployed = deploy(&anvil, &owner(), &[]).await.unwrap();
    let [keeper, canceller, attestor, safe_owner] = [1, 2, 3, 4].map(|who| DEV_ACCOUNTS[who].address);
    let options = GateOptions {
        escrow: deployed.escrow,
        keeper,
        canceller,
        admin: Admin::Safe { owners: vec![safe_owner, keeper], threshold: 2 },
        delays: true,
        attested: Some(Attested {
            float_token: deployed.token,
            attestors: vec![attestor],
            threshold: 1,
            daily_cap: 1_000_000_000,
        }),
    };
    let gates = deploy_gates(&anvil, &owner(), &options).await.unwrap();
    assert!(!anvil.provider().get_code_at(gates.admin).await.unwrap().is_empty(), "the Safe is a contract");
    let ask = async |to: Address, input: Vec<u8>| {
        let request = TransactionRequest::default().with_to(to).with_input(input);
        anvil.provider().call(request).await.unwrap()
    };
    let may = async |caller: Address, signature: &str| {
        let selector: [u8; 4] = keccak256(signature)[..4].try_into().unwrap();
        let call = canCallCall { caller, target: gates.gate, selector: selector.into() };
        canCallCall::abi_decode_returns(&ask(gates.governance, call.abi_encode()).await).unwrap().immediate
    };
    let terms = "(uint8,uint64,bytes32,address,address,uint128,uint64,address,address,address,uint8)";
    let (settle, cancel) = (format!("settleBatch({terms}[],uint256)"), format!("cancel({terms})"));
    for (who, settles, cancels) in [
        (keeper, true, false),
        (canceller, false, true),
        (owner().address(), false, false),
        (gates.admin, false, false),
    ] {
        assert_eq!((may(who, &settle).await, may(who, &cancel).await), (settles, cancels), "{who}");
    }
    let has = async |role: &str, account: Address| {
        let call = hasRoleCall { role: role_id(role).unwrap(), account };
        let answer = hasRoleCall::abi_decode_returns(&ask(gates.governance, call.abi_encode()).await).unwrap();
        (answer.isMember, answer.executionDelay)
    };
    assert_eq!(has("ADMIN", owner().address()).await, (false, 0), "who deployed has stepped back");
    assert_eq!(has("ADMIN", gates.admin).await, (true, 604_800));
    assert_eq!(has("ATTESTOR", attestor).await, (true, 0));
    let again = deploy_gates(&anvil, &owner(), &options).await.unwrap();
    assert_eq!(again.admin, gates.admin, "the Safe is where its owners' is");
}
