//! A Solana node, and what a test does to it: money, mints, transfers and programs, all by real transactions; and the clock,
//! by Surfpool's own methods.

use std::time::{Duration, Instant};

use chain::solana::instructions::{self, Escrow, Gate, SYSTEM_PROGRAM};
use chain::solana::mint::MintGate;
use chain::solana::rpc::Rpc;
use chain::solana::transaction::{self, Bytes};
use chain::solana::{AccountMeta, Instruction, Keypair};
use escrow_interface::address::MARKER;
use escrow_interface::local;
use escrow_interface::mint::{DECIMALS, Settings};
use serde_json::{Value, json};
use terms::Pubkey;
use terms::solana::{associated_token, sha256, token_program};

use crate::Error;

/// The loader whose programs can be replaced until somebody makes them final.
pub const UPGRADEABLE_LOADER: Pubkey = Pubkey::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");

const RENT: Pubkey = Pubkey::from_str_const("SysvarRent111111111111111111111111111111111");
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");

const ESCROW: &[u8] = include_bytes!("../../programs/bin/invoice_escrow.so");
const GATE: &[u8] = include_bytes!("../../programs/bin/settlement_gate.so");

/// Bytes before a program in its buffer, and in the account it runs from; bytes of the account that is called.
const BUFFER_HEAD: usize = 37;
const PROGRAM_DATA_HEAD: usize = 45;
const PROGRAM_BYTES: usize = 36;

/// Bytes of a program that fit in one transaction.
const CHUNK: usize = 960;

/// Bytes of a mint without extensions.
const MINT_BYTES: usize = 82;

/// How long a transaction may wait for its block.
const PATIENCE: Duration = Duration::from_secs(30);

/// One coin, in lamports.
pub const SOL: u64 = 1_000_000_000;

/// A node by its URLs. What moves the clock works on Surfpool only.
#[derive(Clone, Debug)]
pub struct SolanaNode {
    rpc_url: String,
    ws_url: String,
    rpc: Rpc,
}

/// A mint of ours, and who can make more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mint {
    /// Its address.
    pub address: Pubkey,
    /// Its program.
    pub token_program: Pubkey,
    /// How many digits of its base units are behind the point.
    pub decimals: u8,
}

impl SolanaNode {
    /// The node at these URLs. Nothing is sent yet.
    pub fn at(rpc_url: &str, ws_url: &str) -> Result<Self, Error> {
        let rpc = Rpc::at(rpc_url).map_err(|error| Error::Url { url: rpc_url.into(), why: error.to_string() })?;
        Ok(Self { rpc_url: rpc_url.into(), ws_url: ws_url.into(), rpc })
    }

    /// Its JSON-RPC URL.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// Its WebSocket URL.
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// Any JSON-RPC call.
    pub async fn rpc(&self, method: &'static str, params: impl serde::Serialize + Send) -> Result<Value, Error> {
        self.rpc.call(method, params).await.map_err(|error| self.failed(method, error))
    }

    /// The slot at a commitment: `processed`, `confirmed`, `finalized`.
    pub async fn slot(&self, commitment: &str) -> Result<u64, Error> {
        let slot = self.rpc("getSlot", json!([{"commitment": commitment}])).await?;
        slot.as_u64().ok_or_else(|| self.failed("getSlot", slot))
    }

    /// Waits until a slot is finalized.
    pub async fn finalize(&self, slot: u64) -> Result<(), Error> {
        while self.slot("finalized").await? < slot {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The time of the chain, Unix seconds: what programs see.
    pub async fn time(&self) -> Result<i64, Error> {
        let clock = self.rpc.account(&CLOCK).await.map_err(|error| self.failed("getMultipleAccounts", error))?;
        let time = clock.as_ref().and_then(|clock| clock.data.get(32..)?.first_chunk::<8>());
        time.map(|time| i64::from_le_bytes(*time)).ok_or_else(|| self.failed("getMultipleAccounts", "no clock"))
    }

    /// Moves the clock forward to a time, Unix seconds. The slots that would have passed have passed: each is an empty block.
    pub async fn travel_to(&self, timestamp: u64) -> Result<(), Error> {
        let millis = timestamp.saturating_mul(1000);
        self.rpc("surfnet_timeTravel", json!([{"absoluteTimestamp": millis}])).await.map(drop)
    }

    /// Writes an account as no transaction could.
    pub async fn set_account(&self, address: &Pubkey, lamports: u64, owner: &Pubkey, data: &[u8]) -> Result<(), Error> {
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        let fields = json!({"lamports": lamports, "owner": owner.to_string(), "data": hex, "executable": false});
        self.rpc("surfnet_setAccount", json!([address.to_string(), fields])).await.map(drop)
    }

    /// A new key with so many lamports.
    pub async fn wallet(&self, lamports: u64) -> Result<Keypair, Error> {
        let key = new_key()?;
        self.airdrop(&key.address(), lamports).await?;
        Ok(key)
    }

    /// Gives an address lamports.
    pub async fn airdrop(&self, address: &Pubkey, lamports: u64) -> Result<(), Error> {
        let signature = self.rpc("requestAirdrop", json!([address.to_string(), lamports])).await?;
        let signature = signature.as_str().ok_or_else(|| self.failed("requestAirdrop", &signature))?;
        self.wait_for(signature).await.map(drop)
    }

    /// How many lamports an address has.
    pub async fn lamports(&self, address: &Pubkey) -> Result<u64, Error> {
        let account = self.rpc.account(address).await.map_err(|error| self.failed("getMultipleAccounts", error))?;
        Ok(account.map_or(0, |account| account.lamports))
    }

    /// What an account of so many bytes has to hold.
    pub async fn rent(&self, bytes: usize) -> Result<u64, Error> {
        let rent = self.rpc("getMinimumBalanceForRentExemption", json!([bytes])).await?;
        rent.as_u64().ok_or_else(|| self.failed("getMinimumBalanceForRentExemption", rent))
    }

    /// Signs with the node's latest block hash. The first key pays.
    pub async fn sign(&self, instructions: &[Instruction], keys: &[&Keypair]) -> Result<Bytes, Error> {
        let method = "getLatestBlockhash";
        let answer = self.rpc(method, json!([{"commitment": "confirmed"}])).await?;
        let blockhash = answer["value"]["blockhash"].as_str().and_then(|hash| hash.parse::<Pubkey>().ok());
        let blockhash = blockhash.ok_or_else(|| self.failed(method, &answer))?;
        let payer = keys.first().ok_or_else(|| self.failed(method, "nobody pays"))?;
        let message = transaction::message(instructions, &payer.address(), blockhash.to_bytes());
        transaction::sign(&message, keys).map_err(|error| self.failed(method, error))
    }

    /// Sends signed bytes, without a look at whether they would work.
    pub async fn submit(&self, bytes: &Bytes) -> Result<String, Error> {
        let raw = base64(&bytes.raw);
        let answer = self.rpc("sendTransaction", json!([raw, {"encoding": "base64", "skipPreflight": true}])).await?;
        answer.as_str().map(str::to_owned).ok_or_else(|| self.failed("sendTransaction", &answer))
    }

    /// Signs, sends and waits until it is confirmed; the signature and the slot. An error if it failed.
    pub async fn send(&self, instructions: &[Instruction], keys: &[&Keypair]) -> Result<(String, u64), Error> {
        let signature = self.submit(&self.sign(instructions, keys).await?).await?;
        let slot = self.wait_for(&signature).await?;
        Ok((signature, slot))
    }

    /// Waits until a transaction is confirmed: the slot. An error if it failed.
    pub async fn wait_for(&self, signature: &str) -> Result<u64, Error> {
        let begin = Instant::now();
        loop {
            let status = self.rpc("getSignatureStatuses", json!([[signature]])).await?["value"][0].clone();
            let sure = matches!(status["confirmationStatus"].as_str(), Some("confirmed" | "finalized"));
            match status["slot"].as_u64() {
                Some(slot) if sure && status["err"].is_null() => return Ok(slot),
                Some(_) if sure => return Err(self.failed("sendTransaction", &status["err"])),
                _ if begin.elapsed() > PATIENCE => return Err(self.failed("sendTransaction", "it was never confirmed")),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Makes a mint of SPL Token or Token-2022, whose authority is `payer`.
    pub async fn create_mint(&self, payer: &Keypair, decimals: u8, token_2022: bool) -> Result<Mint, Error> {
        self.create_mint_of(payer, &payer.address(), decimals, token_2022).await
    }

    /// The same with another authority.
    pub async fn create_mint_of(
        &self,
        payer: &Keypair,
        authority: &Pubkey,
        decimals: u8,
        token_2022: bool,
    ) -> Result<Mint, Error> {
        const INITIALIZE_MINT_2: u8 = 20;
        let (key, program) = (new_key()?, token_program(token_2022));
        let create = create_account(payer, &key, self.rent(MINT_BYTES).await?, MINT_BYTES, program);
        let data = [&[INITIALIZE_MINT_2, decimals], authority.as_array().as_slice(), &[0]].concat();
        let accounts = vec![AccountMeta::new(key.address(), false)];
        let initialize = Instruction { program_id: program, accounts, data };
        self.send(&[create, initialize], &[payer, &key]).await?;
        Ok(Mint { address: key.address(), token_program: program, decimals })
    }

    /// Makes the associated token account of an owner, if it is missing.
    pub async fn create_token_account(&self, payer: &Keypair, owner: &Pubkey, mint: &Mint) -> Result<Pubkey, Error> {
        let account = mint.account_of(owner);
        self.send(&[mint.open(&payer.address(), owner)], &[payer]).await?;
        Ok(account)
    }

    /// Makes tokens in a token account.
    pub async fn mint_to(&self, authority: &Keypair, mint: &Mint, account: &Pubkey, amount: u64) -> Result<u64, Error> {
        let (_, slot) = self.send(&[mint.mint_to(&authority.address(), account, amount)], &[authority]).await?;
        Ok(slot)
    }

    /// A wallet with lamports and tokens.
    pub async fn customer(&self, authority: &Keypair, mint: &Mint, amount: u64) -> Result<Keypair, Error> {
        let wallet = self.wallet(SOL).await?;
        let account = self.create_token_account(authority, &wallet.address(), mint).await?;
        self.mint_to(authority, mint, &account, amount).await?;
        Ok(wallet)
    }

    /// Pays as wallets do: makes the receiver's token account if it is missing, and transfers from the sender's. The slot.
    pub async fn transfer(&self, from: &Keypair, to: &Pubkey, mint: &Mint, amount: u64) -> Result<u64, Error> {
        let open = mint.open(&from.address(), to);
        let (_, slot) = self.send(&[open, mint.transfer(&from.address(), to, amount)], &[from]).await?;
        Ok(slot)
    }

    /// An account's data, if there is one.
    pub async fn data(&self, account: &Pubkey) -> Result<Option<Vec<u8>>, Error> {
        let account = self.rpc.account(account).await.map_err(|error| self.failed("getMultipleAccounts", error))?;
        Ok(account.map(|account| account.data))
    }

    /// What lies in a token account; 0 if there is none.
    pub async fn tokens(&self, account: &Pubkey) -> Result<u64, Error> {
        let account = self.rpc.account(account).await.map_err(|error| self.failed("getMultipleAccounts", error))?;
        let amount = account.as_ref().and_then(|account| account.data.get(64..)?.first_chunk::<8>());
        Ok(amount.map_or(0, |amount| u64::from_le_bytes(*amount)))
    }

    /// Deploys a compiled program through the upgradeable loader, as the Solana command line does, and then makes it final:
    /// nobody can replace it. It can be called from the next slot on.
    pub async fn deploy(&self, payer: &Keypair, program: &Keypair, elf: &[u8]) -> Result<Pubkey, Error> {
        const WRITE: u32 = 1;
        let (buffer, authority) = (new_key()?, payer.address());
        let loader = |tag: u32, more: &[u8], accounts: Vec<AccountMeta>| {
            let data = [tag.to_le_bytes().as_slice(), more].concat();
            Instruction { program_id: UPGRADEABLE_LOADER, accounts, data }
        };
        let signer = AccountMeta::new_readonly(authority, true);
        let (buffer_at, program_at) = (buffer.address(), program.address());

        let bytes = BUFFER_HEAD + elf.len();
        let create = create_account(payer, &buffer, self.rent(bytes).await?, bytes, UPGRADEABLE_LOADER);
        let to_buffer = AccountMeta::new(buffer_at, false);
        let initialize = loader(0, &[], vec![to_buffer.clone(), AccountMeta::new_readonly(authority, false)]);
        self.send(&[create, initialize], &[payer, &buffer]).await?;

        let mut written = Vec::new();
        for (index, chunk) in elf.chunks(CHUNK).enumerate() {
            let offset = u32::try_from(index * CHUNK).map_err(|_| self.failed("deploy", "the program is too big"))?;
            let more = [&offset.to_le_bytes()[..], &length(chunk.len()), chunk].concat();
            let write = loader(WRITE, &more, vec![to_buffer.clone(), signer.clone()]);
            written.push(self.submit(&self.sign(&[write], &[payer]).await?).await?);
        }
        for signature in written {
            self.wait_for(&signature).await?;
        }

        let data_at = program_address(program_at.as_array(), &UPGRADEABLE_LOADER);
        let rent = self.rent(PROGRAM_BYTES).await?;
        let create = create_account(payer, program, rent, PROGRAM_BYTES, UPGRADEABLE_LOADER);
        let accounts = vec![
            AccountMeta::new(authority, true),
            AccountMeta::new(data_at, false),
            AccountMeta::new(program_at, false),
            to_buffer,
            AccountMeta::new_readonly(RENT, false),
            AccountMeta::new_readonly(CLOCK, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            signer.clone(),
        ];
        let deploy = loader(2, &length(elf.len()), accounts);
        self.send(&[create, deploy], &[payer, program]).await?;
        // Without a new authority there is none any more.
        let (_, slot) = self.send(&[loader(4, &[], vec![AccountMeta::new(data_at, false), signer])], &[payer]).await?;
        self.check_final(&data_at, elf).await?;
        while self.slot("processed").await? <= slot {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(program_at)
    }

    /// Deploys our programs where they are on every local network, final, and gives the gate its keys: `settler` may settle,
    /// `canceller` may cancel. `payer` is its admin.
    pub async fn deploy_ours(
        &self,
        payer: &Keypair,
        settler: &Pubkey,
        canceller: &Pubkey,
    ) -> Result<(Escrow, Gate), Error> {
        let key = |name: &[u8], counter: u8| Keypair::from_secret(&sha256(&[name, &[counter]]));
        let escrow = self.deploy(payer, &key(local::ESCROW_NAME, local::ESCROW_COUNTER), ESCROW).await?;
        let gate = self.deploy(payer, &key(local::GATE_NAME, local::GATE_COUNTER), GATE).await?;
        let wrong = |error: chain::Error| Error::Deployment { contract: "our programs".into(), why: error.to_string() };
        let (escrow, gate) = (Escrow::at(escrow).map_err(wrong)?, Gate::at(gate).map_err(wrong)?);
        let admin = payer.address();
        let keys = gate.set_keys(admin, &[*settler], &[*canceller]);
        self.send(&[gate.init(admin, escrow.program), keys], &[payer]).await?;
        Ok((escrow, gate))
    }

    /// Makes a mint that only the gate can make more of, and sets its mint half up. `admin` is the gate's, and pays.
    pub async fn open_mint(
        &self,
        admin: &Keypair,
        escrow: Escrow,
        gate: Gate,
        settings: &Settings,
    ) -> Result<(Mint, MintGate), Error> {
        let mint = self.create_mint_of(admin, &gate.settler, DECIMALS, false).await?;
        let minter = MintGate::at(gate, escrow, escrow_interface::LOCAL, mint.address);
        let minter =
            minter.map_err(|error| Error::Deployment { contract: "the mint".into(), why: error.to_string() })?;
        let payer = admin.address();
        let accounts = [gate.settler, minter.redemption].map(|owner| mint.open(&payer, &owner));
        self.send(&[&accounts[..], &[minter.init(payer, settings)]].concat(), &[admin]).await?;
        Ok((mint, minter))
    }

    /// That exactly these bytes are there, and nobody can replace them.
    async fn check_final(&self, data_at: &Pubkey, elf: &[u8]) -> Result<(), Error> {
        let wrong = |why: &str| Error::Deployment { contract: "the program".into(), why: why.into() };
        let account = self.rpc.account(data_at).await.map_err(|error| self.failed("getMultipleAccounts", error))?;
        let account = account.ok_or_else(|| wrong("it is not there"))?;
        // Tag 3, the slot, and 0 for no authority.
        if account.data.get(12) != Some(&0) {
            return Err(wrong("somebody can still replace it"));
        }
        if account.data.get(PROGRAM_DATA_HEAD..) != Some(elf) {
            return Err(wrong("it has other bytes"));
        }
        Ok(())
    }

    fn failed(&self, method: &str, why: impl ToString) -> Error {
        Error::Rpc { method: method.into(), url: self.rpc_url.clone(), why: why.to_string() }
    }
}

impl Mint {
    /// The associated token account of an owner.
    pub fn account_of(&self, owner: &Pubkey) -> Pubkey {
        associated_token(owner, &self.address, &self.token_program).0
    }

    /// Makes the associated token account of an owner, if it is missing.
    pub fn open(&self, payer: &Pubkey, owner: &Pubkey) -> Instruction {
        let account = self.account_of(owner);
        instructions::create_associated_token(*payer, *owner, account, self.address, self.token_program)
    }

    /// Makes tokens in a token account.
    pub fn mint_to(&self, authority: &Pubkey, account: &Pubkey, amount: u64) -> Instruction {
        const MINT_TO: u8 = 7;
        let accounts = vec![
            AccountMeta::new(self.address, false),
            AccountMeta::new(*account, false),
            AccountMeta::new_readonly(*authority, true),
        ];
        Instruction { program_id: self.token_program, accounts, data: [&[MINT_TO], &amount.to_le_bytes()[..]].concat() }
    }

    /// From the associated token account of one owner to another's.
    pub fn transfer(&self, from: &Pubkey, to: &Pubkey, amount: u64) -> Instruction {
        const TRANSFER_CHECKED: u8 = 12;
        let accounts = vec![
            AccountMeta::new(self.account_of(from), false),
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new(self.account_of(to), false),
            AccountMeta::new_readonly(*from, true),
        ];
        let data = [&[TRANSFER_CHECKED], &amount.to_le_bytes()[..], &[self.decimals]].concat();
        Instruction { program_id: self.token_program, accounts, data }
    }
}

/// The address of a program with one seed, at the highest bump that has one.
pub fn program_address(seed: &[u8], program: &Pubkey) -> Pubkey {
    let at = |bump: u8| Pubkey::new_from_array(sha256(&[seed, &[bump], program.as_array(), MARKER]));
    (0..=u8::MAX).rev().map(at).find(|key| !key.is_on_curve()).unwrap_or_default()
}

/// A key that nobody had before.
pub fn new_key() -> Result<Keypair, Error> {
    let mut secret = [0; 32];
    let failed = |error: getrandom::Error| Error::io("get random bytes")(std::io::Error::other(error.to_string()));
    getrandom::fill(&mut secret).map_err(failed)?;
    Ok(Keypair::from_secret(&secret))
}

/// Makes an account of so many bytes that belongs to a program. Both sign.
pub fn create_account(payer: &Keypair, new: &Keypair, lamports: u64, bytes: usize, owner: Pubkey) -> Instruction {
    let accounts = vec![AccountMeta::new(payer.address(), true), AccountMeta::new(new.address(), true)];
    let data = [&[0; 4][..], &lamports.to_le_bytes(), &length(bytes), owner.as_array()].concat();
    Instruction { program_id: SYSTEM_PROGRAM, accounts, data }
}

/// A length as the native programs read it.
fn length(bytes: usize) -> [u8; 8] {
    u64::try_from(bytes).unwrap_or(u64::MAX).to_le_bytes()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
