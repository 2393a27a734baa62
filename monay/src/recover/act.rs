//! Does what is asked for, or what is right now: tries it, signs, sends, waits, and says what has moved.

use super::standing::{Settler, Standing};
use super::words::{refusal, token_name, transaction, units, utc};
use super::{Args, POLL, Stopped, stopped};
use crate::Error;
use alloy::network::ReceiptResponse;
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::serde::WithOtherFields;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::RpcError;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, SolStruct, eip712_domain};
use chain::evm::Evm;
use chain::{Chain, Sent, Slot};
use keeper::Duty;
use std::time::{Duration, Instant};
use terms::abi::{IInvoiceEscrow, ISettlementGate, RefundOrder};

/// How long a signed order can be carried out by whoever has seen it. Seconds.
const ORDER_SECONDS: u64 = 60 * 60;

/// Roles of the gate.
const SETTLER: [u8; 4] = Duty::Settle.selector();
const CANCELLER: [u8; 4] = Duty::Cancel.selector();

/// One transaction to be sent.
struct Step {
    /// What it does, in words: "settle through the gate 0x…".
    what: String,
    to: Address,
    input: Bytes,
    /// What is tried instead, and as whom, where the transaction itself would swallow a refusal.
    tried: Option<(Address, Address, Bytes)>,
    gas: Option<u64>,
}

pub(super) async fn act(
    args: &Args,
    node: &Evm,
    standing: &Standing,
    key: &PrivateKeySigner,
    refund_key: Option<&PrivateKeySigner>,
) -> Result<(), Error> {
    let account = key.address();
    let tokens = || match args.token.is_empty() {
        true => vec![standing.invoice().token],
        false => args.token.clone(),
    };
    let steps = if args.verb.settle {
        vec![settle(node, standing, account).await?]
    } else if args.verb.cancel {
        vec![cancel(node, standing, account).await?]
    } else if args.verb.refund {
        tokens().into_iter().map(|token| refund(standing, token)).collect()
    } else if let Some(to) = args.verb.refund_to {
        let signer = refund_key.unwrap_or(key);
        tokens().into_iter().map(|token| order(standing, token, to, signer)).collect::<Result<_, _>>()?
    } else {
        right_now(node, standing, account).await?
    };
    for step in steps {
        carry_out(args, node, standing, account, step).await?;
    }
    Ok(())
}

/// Settle where it is open, funded, and this key may; else send back what may go back.
async fn right_now(node: &Evm, standing: &Standing, account: Address) -> Result<Vec<Step>, Error> {
    if standing.open() && standing.funded() && may_settle(node, standing, account).await? {
        return Ok(vec![settle(node, standing, account).await?]);
    }
    let mut tokens = standing.refundable();
    if tokens.len() > 1 {
        // The purse hands its coin to the same address whenever it runs.
        tokens.retain(|token| !token.is_zero());
    }
    let steps: Vec<Step> = tokens.into_iter().map(|token| refund(standing, token)).collect();
    if steps.is_empty() { Err(stopped(Stopped::NotNow, standing.nothing_due())) } else { Ok(steps) }
}

async fn may_settle(node: &Evm, standing: &Standing, account: Address) -> Result<bool, Error> {
    Ok(match standing.settler {
        Settler::Anyone => true,
        Settler::Gate => has_role(node, standing, SETTLER, account).await?,
        Settler::Account | Settler::OtherContract => standing.invoice().settler == account,
    })
}

async fn has_role(node: &Evm, standing: &Standing, selector: [u8; 4], account: Address) -> Result<bool, Error> {
    Ok(node.may_call(standing.invoice().settler, selector, account).await?)
}

/// Through the gate where the gate knows the key; else straight to the escrow, which says in its own words if it will not.
async fn settle(node: &Evm, standing: &Standing, account: Address) -> Result<Step, Error> {
    let (terms, escrow) = (standing.invoice(), standing.terms.escrow);
    let direct = IInvoiceEscrow::settleCall { terms: terms.into() }.abi_encode().into();
    if standing.settler == Settler::Gate && has_role(node, standing, SETTLER, account).await? {
        let gas_per_item = U256::from(node.gas().item);
        let batch = ISettlementGate::settleBatchCall { terms: vec![terms.into()], gasPerItem: gas_per_item };
        return Ok(Step {
            what: format!("settle through the gate {}", terms.settler),
            to: terms.settler,
            input: batch.abi_encode().into(),
            // An item of a batch that fails does not show: it is tried alone and as the gate.
            tried: Some((terms.settler, escrow, direct)),
            gas: Some(node.gas().batch(1)),
        });
    }
    Ok(Step { what: "settle at the escrow".to_owned(), to: escrow, input: direct, tried: None, gas: None })
}

async fn cancel(node: &Evm, standing: &Standing, account: Address) -> Result<Step, Error> {
    let (terms, escrow) = (standing.invoice(), standing.terms.escrow);
    if standing.settler == Settler::Gate
        && account != terms.payee
        && has_role(node, standing, CANCELLER, account).await?
    {
        let input = ISettlementGate::cancelCall { terms: terms.into() }.abi_encode().into();
        let what = format!("cancel through the gate {}", terms.settler);
        return Ok(Step { what, to: terms.settler, input, tried: None, gas: None });
    }
    let input = IInvoiceEscrow::cancelCall { terms: terms.into() }.abi_encode().into();
    Ok(Step { what: "cancel at the escrow".to_owned(), to: escrow, input, tried: None, gas: None })
}

fn refund(standing: &Standing, token: Address) -> Step {
    let terms = standing.invoice();
    Step {
        what: format!("send {} back to {}", token_name(token, terms.token), terms.refund_to),
        to: standing.terms.escrow,
        input: IInvoiceEscrow::refundCall { terms: terms.into(), token }.abi_encode().into(),
        tried: None,
        gas: None,
    }
}

/// The refund key's word, good for an hour of the chain's time.
fn order(standing: &Standing, token: Address, to: Address, key: &PrivateKeySigner) -> Result<Step, Error> {
    let (terms, escrow) = (standing.invoice(), standing.terms.escrow);
    let mut nonce = B256::ZERO;
    getrandom::fill(nonce.as_mut_slice()).map_err(|error| Error::Config(format!("no randomness: {error}")))?;
    let order = RefundOrder {
        termsHash: terms.hash(),
        token,
        to,
        nonce: U256::from_be_bytes(nonce.0),
        deadline: U256::from(standing.now.saturating_add(ORDER_SECONDS)),
    };
    let domain = eip712_domain! {
        name: "Monay InvoiceEscrow",
        version: "1",
        chain_id: terms.chain,
        verifying_contract: escrow,
    };
    let signature = key.sign_hash_sync(&order.eip712_signing_hash(&domain));
    let signature = signature.map_err(|error| Error::Config(format!("the refund key cannot sign: {error}")))?;
    let signature = Bytes::from(signature.as_bytes().to_vec());
    let what = format!("send {} to {to} by order of the refund key", token_name(token, terms.token));
    let input = IInvoiceEscrow::refundByOrderCall { terms: terms.into(), order, signature }.abi_encode().into();
    Ok(Step { what, to: escrow, input, tried: None, gas: None })
}

/// Tries, signs, sends, waits, tells.
async fn carry_out(args: &Args, node: &Evm, standing: &Standing, account: Address, step: Step) -> Result<(), Error> {
    println!("Now: {}, with the key of {account}.", step.what);
    let (from, to, input) = step.tried.clone().unwrap_or((account, step.to, step.input.clone()));
    let gas = try_it(node, from, to, input).await?;
    if args.dry_run {
        println!("It would work (about {gas} gas). Nothing was sent: --dry-run.");
        return Ok(());
    }
    let fees = node.fees().await?;
    let gas_limit = step.gas.unwrap_or(gas + gas / 5);
    let balance = node.provider().get_balance(account).await.map_err(|error| node.failed(&error))?;
    let needed = U256::from(fees.max).saturating_mul(U256::from(gas_limit));
    if balance < needed {
        let why =
            format!("{account} has {balance} wei and needs {needed} wei for the gas: send it some of the chain's coin");
        return Err(stopped(Stopped::NotNow, why));
    }
    let nonce = node.provider().get_transaction_count(account).pending().await.map_err(|error| node.failed(&error))?;
    let signed = node.sign_call(Slot { signer: account.into(), nonce }, step.to, step.input, gas_limit, fees)?;
    let hash =
        signed.hash.evm().ok_or_else(|| stopped(Stopped::NotNow, "not a transaction of this chain".to_owned()))?;
    println!("Sending {}.", transaction(hash));
    match node.send(&signed.raw).await {
        Sent::Taken => {}
        Sent::NonceTooLow(words)
        | Sent::Underpriced(words)
        | Sent::Unfunded(words)
        | Sent::Rejected(words)
        | Sent::Unknown(words) => println!("The node said: {words}. It may have it all the same; waiting."),
    }
    let (block, number) = wait_for(args, node, hash).await?;
    moved(node, standing, hash, block, number).await
}

/// The gas it takes, or the contract's refusal in words.
async fn try_it(node: &Evm, from: Address, to: Address, input: Bytes) -> Result<u64, Error> {
    let request = TransactionRequest::default().from(from).to(to).input(input.into());
    let tried = node.provider().call(WithOtherFields::new(request.clone())).await.map(drop);
    let tried = match tried {
        Ok(()) => node.provider().estimate_gas(WithOtherFields::new(request)).await,
        Err(error) => Err(error),
    };
    tried.map_err(|error| match &error {
        RpcError::ErrorResp(answer) => {
            let words = answer.as_revert_data().map_or_else(|| node.failed(&error).to_string(), |data| refusal(&data));
            stopped(Stopped::NotNow, format!("{words}; nothing was sent"))
        }
        error => node.failed(error).into(),
    })
}

/// The block with the transaction: its hash and height.
async fn wait_for(args: &Args, node: &Evm, hash: B256) -> Result<(B256, u64), Error> {
    let since = Instant::now();
    loop {
        // A node that is away for a moment has not lost it.
        if let Ok(Some(receipt)) = node.provider().get_transaction_receipt(hash).await
            && let (Some(block), Some(number)) = (receipt.block_hash, receipt.block_number)
        {
            if !receipt.status() {
                let why = format!("{} was mined in block {number} and reverted: nothing has moved", transaction(hash));
                return Err(stopped(Stopped::NotNow, why));
            }
            return Ok((block, number));
        }
        if since.elapsed() > Duration::from_secs(args.wait) {
            let why = format!(
                "{} is in no block after {} s, and may still come: run the same command again, which does nothing twice",
                transaction(hash),
                args.wait
            );
            return Err(stopped(Stopped::Unknown, why));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Says what the escrow has recorded of the invoice in this transaction.
async fn moved(node: &Evm, standing: &Standing, hash: B256, block: B256, number: u64) -> Result<(), Error> {
    let terms = standing.invoice();
    let filter = Filter::new().at_block_hash(block).address(standing.terms.escrow).topic1(terms.hash());
    let logs = node.provider().get_logs(&filter).await.map_err(|error| node.failed(&error))?;
    let mut recorded = false;
    for log in logs.iter().filter(|log| log.transaction_hash == Some(hash)) {
        let Ok(event) = IInvoiceEscrow::Recorded::decode_log_data(log.data()) else { continue };
        recorded = true;
        let decimals = standing.holdings.iter().find(|holding| holding.token == event.token);
        let amount = units(event.amount, decimals.and_then(|holding| holding.decimals));
        let name = token_name(event.token, terms.token);
        match event.kind {
            1 | 2 => println!("Done in block {number}: {amount} of {name} went to the payee {}.", event.to),
            3 => println!("Done in block {number}: the invoice is cancelled; what lies there can go back."),
            _ => println!("Done in block {number}: {amount} of {name} went back to {}.", event.to),
        }
    }
    if recorded {
        println!("That is final when the chain calls the block final; the chain's time was {}.", utc(standing.now));
        return Ok(());
    }
    let why =
        format!("{} was mined in block {number}, and nothing has moved: somebody else was first", transaction(hash));
    Err(stopped(Stopped::NotNow, why))
}
