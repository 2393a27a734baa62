//! Solana in the installation: Surfpool with our programs on it, deployed through the loader, a mint, and who is who.

use super::{CUSTOMER_FUNDS, Cast};
use crate::Error;
use crate::config::SolanaConfig;
use chain::solana::Keypair;
use chain::solana::instructions::Escrow;
use domain::money::TOKEN_DECIMALS;
use domain::tier::Tier;
use std::path::Path;
use std::time::Duration;
use terms::Pubkey;
use terms::solana::sha256;
use test_chain::solana::{Mint, SOL, SolanaNode};
use test_chain::{Progress, Surfpool, SurfpoolOptions};

/// A slot of a development network: what is final is 31 of them old.
const SLOT: Duration = Duration::from_millis(100);

/// How often the clock is moved at most to get to a time.
const MOVES: u32 = 10;

impl Cast {
    /// The secret of one of them on Solana. Everybody can know it.
    pub fn solana_secret(who: usize) -> [u8; 32] {
        sha256(&[b"monay local cast", &who.to_le_bytes()])
    }

    /// The key of one of them on Solana.
    pub fn solana(who: usize) -> Keypair {
        Keypair::from_secret(&Self::solana_secret(who))
    }

    /// The same as wallets and `solana-keygen` write it: secret and address, 64 bytes.
    pub fn solana_bytes(who: usize) -> Vec<u8> {
        [Self::solana_secret(who).as_slice(), Self::solana(who).address().as_array()].concat()
    }
}

/// A running Solana network.
#[derive(Debug)]
pub struct SolanaNet {
    surfpool: Surfpool,
    /// What invoices are paid in.
    pub mint: Mint,
    /// The escrow program.
    pub escrow: Escrow,
    /// What the services are told.
    pub config: SolanaConfig,
}

impl SolanaNet {
    /// Starts it; the keepers' keys lie in `directory`.
    pub async fn start(directory: &Path, progress: &Progress) -> Result<Self, Error> {
        let surfpool = Surfpool::start(SurfpoolOptions { slot_time: SLOT, progress: progress.clone() }).await?;
        let [deployer, keeper, coordinator, customer] =
            [Cast::DEPLOYER, Cast::KEEPER, Cast::COORDINATOR, Cast::CUSTOMER].map(Cast::solana);
        for wallet in [&deployer, &keeper, &coordinator, &customer] {
            surfpool.airdrop(&wallet.address(), 1_000 * SOL).await?;
        }
        progress.say("deploying the Solana programs, and making them final");
        let (escrow, gate) = surfpool.deploy_ours(&deployer, &keeper.address(), &coordinator.address()).await?;
        let decimals = u8::try_from(TOKEN_DECIMALS).map_err(|_| Error::Config("too many decimals".to_owned()))?;
        let mint = surfpool.create_mint(&deployer, decimals, false).await?;
        let account = surfpool.create_token_account(&deployer, &customer.address(), &mint).await?;
        let funds = u64::try_from(CUSTOMER_FUNDS).unwrap_or(u64::MAX);
        surfpool.mint_to(&deployer, &mint, &account, funds).await?;
        let key_file = |name: &str, who: usize| {
            let file = directory.join(name);
            let key =
                serde_json::to_string(&Cast::solana_bytes(who)).map_err(|error| Error::Config(error.to_string()))?;
            crate::setup::write_secret(&file, &key)?;
            Ok::<_, Error>(vec![file])
        };
        let config = SolanaConfig {
            rpc_url: surfpool.rpc_url().to_owned(),
            ws_url: Some(surfpool.ws_url().to_owned()),
            program: escrow.program,
            gate: gate.program,
            mint: mint.address,
            settle_at: Tier::Final,
            keeper_key_files: key_file("keeper-solana.key", Cast::KEEPER)?,
            coordinator_key_files: key_file("coordinator-solana.key", Cast::COORDINATOR)?,
            max_fee_micro_lamports: 1_000_000,
        };
        Ok(Self { surfpool, mint, escrow, config })
    }

    /// Its node.
    pub fn node(&self) -> &SolanaNode {
        self.surfpool.node()
    }

    /// What lies in the associated token account of an owner, base units.
    pub async fn balance(&self, owner: &Pubkey) -> Result<u64, Error> {
        Ok(self.surfpool.tokens(&self.mint.account_of(owner)).await?)
    }

    /// Its time, unix seconds.
    pub async fn time(&self) -> Result<u64, Error> {
        Ok(u64::try_from(self.surfpool.time().await?).unwrap_or(0))
    }

    /// Moves the clock forward until its blocks have this time, unix seconds: they are behind the clock, by more each time it
    /// is moved.
    pub async fn travel_beyond(&self, time: u64) -> Result<(), Error> {
        for _ in 0..MOVES {
            let slot = self.surfpool.slot("confirmed").await?;
            let block = self.surfpool.rpc("getBlockTime", [slot]).await?.as_u64().unwrap_or(0);
            if block > time {
                return Ok(());
            }
            let clock = self.time().await?;
            self.surfpool.travel_to(clock.saturating_add(time.saturating_sub(block)).saturating_add(1)).await?;
            tokio::time::sleep(3 * SLOT).await;
        }
        Err(Error::Story("Surfpool's blocks do not get the time its clock was moved to".to_owned()))
    }

    /// Stops it.
    pub async fn stop(self) {
        self.surfpool.stop().await;
    }
}
