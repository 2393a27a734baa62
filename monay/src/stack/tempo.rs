//! Tempo in the installation: Anvil with Tempo's rules, our contracts at the addresses they have on every chain, a token made
//! by Tempo's factory, and who is who as on Base.

use super::{CUSTOMER_FUNDS, Cast, signer};
use crate::Error;
use crate::config::{ChainConfig, Network};
use alloy_primitives::{Address, U256};
use domain::tier::Tier;
use std::time::Duration;
use test_chain::{Anvil, AnvilOptions, Mining, Node, Progress, contracts, tempo};

/// A running Tempo network.
#[derive(Debug)]
pub struct TempoNet {
    anvil: Anvil,
    /// What the services are told.
    pub config: ChainConfig,
}

impl TempoNet {
    /// Starts it. Blocks come as fast as they are asked for; what is final is two of them old.
    pub async fn start(mining: Mining, progress: &Progress) -> Result<Self, Error> {
        let options = AnvilOptions { mining, progress: progress.clone(), ..AnvilOptions::tempo() };
        let chain = options.chain_id;
        let anvil = Anvil::start(options).await?;
        progress.say("deploying the contracts on Tempo, and making a token");
        let owner = signer(Cast::key(Cast::DEPLOYER))?;
        let escrow = contracts::deploy_escrow(&anvil, &owner).await?;
        let keys = [Cast::address(Cast::KEEPER), Cast::address(Cast::COORDINATOR)];
        let gate = contracts::deploy_gate(&anvil, &owner, escrow, keys).await?;
        let token = tempo::create_token(&anvil, &owner, "MonayUSD", &[]).await?;
        contracts::mint(&anvil, &owner, token, &[(Cast::address(Cast::CUSTOMER), CUSTOMER_FUNDS)]).await?;
        // Finality first: the mirror begins at a block that cannot be taken back, and the contracts are in it.
        anvil.mine(3).await?;
        let config = ChainConfig {
            id: chain,
            rpc_url: anvil.rpc_url(),
            escrow,
            token,
            gate,
            settle_at: Tier::Seen,
            mint: None,
            network: Network::Tempo,
            fee_token: Some(tempo::PATH_USD),
        };
        Ok(Self { anvil, config })
    }

    /// Its node.
    pub fn node(&self) -> &Node {
        self.anvil.node()
    }

    /// How much of the invoices' token an account has.
    pub async fn balance(&self, account: Address) -> Result<U256, Error> {
        Ok(contracts::balance_of(self.node(), self.config.token, account).await?)
    }

    /// Its time, unix seconds.
    pub async fn time(&self) -> Result<u64, Error> {
        Ok(self.anvil.block("latest").await?.1)
    }

    /// Moves the clock forward to a time, and makes it final.
    pub async fn travel_to(&self, time: u64) -> Result<(), Error> {
        let by = time.saturating_sub(self.time().await?);
        self.anvil.increase_time(Duration::from_secs(by)).await?;
        Ok(self.anvil.mine(3).await?)
    }

    /// Stops it.
    pub async fn stop(self) {
        self.anvil.stop().await;
    }
}
