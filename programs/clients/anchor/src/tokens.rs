//! SPL Token: what a test needs of it, as instructions.

use anchor_lang::{
    prelude::{AccountMeta, Pubkey, pubkey},
    solana_program::{instruction::Instruction, system_instruction, system_program},
};

/// The token program.
pub const TOKEN_PROGRAM: Pubkey = pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// The associated token account program.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey = pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// Bytes of a mint without extensions.
pub const MINT_BYTES: usize = 82;

/// An owner's account for a mint, and its bump.
pub fn associated(owner: &Pubkey, mint: &Pubkey) -> (Pubkey, u8) {
    let seeds = [owner.as_ref(), TOKEN_PROGRAM.as_ref(), mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM)
}

/// A new mint with six decimals that holds `rent` lamports; both keys sign.
pub fn create_mint(authority: &Pubkey, mint: &Pubkey, rent: u64) -> [Instruction; 2] {
    const INITIALIZE_MINT_2: u8 = 20;
    let data = [&[INITIALIZE_MINT_2, 6], authority.as_ref(), &[0]].concat();
    let accounts = vec![AccountMeta::new(*mint, false)];
    [
        system_instruction::create_account(authority, mint, rent, MINT_BYTES as u64, &TOKEN_PROGRAM),
        Instruction { program_id: TOKEN_PROGRAM, accounts, data },
    ]
}

/// Makes an owner's account, unless it is there.
pub fn open(payer: &Pubkey, owner: &Pubkey, mint: &Pubkey) -> Instruction {
    const CREATE_IDEMPOTENT: u8 = 1;
    let accounts = vec![
        AccountMeta::new(*payer, true),
        AccountMeta::new(associated(owner, mint).0, false),
        AccountMeta::new_readonly(*owner, false),
        AccountMeta::new_readonly(*mint, false),
        AccountMeta::new_readonly(system_program::ID, false),
        AccountMeta::new_readonly(TOKEN_PROGRAM, false),
    ];
    Instruction { program_id: ASSOCIATED_TOKEN_PROGRAM, accounts, data: vec![CREATE_IDEMPOTENT] }
}

/// Makes tokens in an account.
pub fn mint_to(authority: &Pubkey, mint: &Pubkey, account: &Pubkey, amount: u64) -> Instruction {
    const MINT_TO: u8 = 7;
    let accounts = vec![
        AccountMeta::new(*mint, false),
        AccountMeta::new(*account, false),
        AccountMeta::new_readonly(*authority, true),
    ];
    Instruction { program_id: TOKEN_PROGRAM, accounts, data: [&[MINT_TO], amount.to_le_bytes().as_slice()].concat() }
}
