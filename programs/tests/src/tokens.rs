//! Mints and token accounts, written as the token programs would have.

use crate::Net;
use escrow_interface::address::{ASSOCIATED_TOKEN_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use solana_address::Address;

/// SPL Token, or Token-2022.
pub fn program(token_2022: bool) -> Address {
    Address::new_from_array(if token_2022 { TOKEN_2022_PROGRAM } else { TOKEN_PROGRAM })
}

/// The associated token account program.
pub fn associated_program() -> Address {
    Address::new_from_array(ASSOCIATED_TOKEN_PROGRAM)
}

/// The canonical associated token account and its bump.
pub fn associated(owner: Address, mint: Address, token_2022: bool) -> (Address, u8) {
    let seeds: [&[u8]; 3] = [owner.as_ref(), &program(token_2022).to_bytes(), mint.as_ref()];
    Address::find_program_address(&seeds, &associated_program())
}

/// Base units in a token account's data.
pub fn amount(data: &[u8]) -> u64 {
    data.get(64..72).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().expect("eight")))
}

/// The data of a mint with six decimals; it may be frozen by `freezer`, minted by `minter`.
pub fn mint_data(minter: Address, freezer: Address) -> Vec<u8> {
    let mut data = vec![0; 82];
    data[0] = 1;
    data[4..36].copy_from_slice(minter.as_ref());
    data[36..44].copy_from_slice(&u64::MAX.to_le_bytes());
    data[44] = 6;
    data[45] = 1;
    data[46] = 1;
    data[50..82].copy_from_slice(freezer.as_ref());
    data
}

/// The data of a token account.
pub fn account_data(mint: Address, owner: Address, amount: u64) -> Vec<u8> {
    let mut data = vec![0; 165];
    data[..32].copy_from_slice(mint.as_ref());
    data[32..64].copy_from_slice(owner.as_ref());
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1;
    data
}

/// `data` of a mint (kind 1) or an account (kind 2) of Token-2022 with extensions: type and bytes of each.
pub fn extended(mut data: Vec<u8>, kind: u8, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    data.resize(165, 0);
    data.push(kind);
    for (extension, bytes) in extensions {
        data.extend_from_slice(&extension.to_le_bytes());
        data.extend_from_slice(&u16::try_from(bytes.len()).expect("short").to_le_bytes());
        data.extend_from_slice(bytes);
    }
    data
}

impl Net {
    /// A mint.
    pub fn mint(&mut self, mint: Address, token_2022: bool) {
        self.put(mint, program(token_2022), mint_data(crate::person("minter"), crate::person("freezer")));
    }

    /// The associated token account of `owner` with `amount` more in it than before.
    pub fn fund(&mut self, owner: Address, mint: Address, token_2022: bool, amount: u64) -> Address {
        let (account, _) = associated(owner, mint, token_2022);
        match self.account(account) {
            Some(mut there) => {
                let sum = self::amount(&there.data) + amount;
                there.data[64..72].copy_from_slice(&sum.to_le_bytes());
                self.svm.set_account(account, there).expect("fits");
            }
            None => {
                let mut data = account_data(mint, owner, amount);
                if token_2022 {
                    // As the associated token account program makes them: ImmutableOwner.
                    data = extended(data, 2, &[(7, vec![])]);
                }
                self.put(account, program(token_2022), data);
            }
        }
        account
    }

    /// Freezes or thaws a token account.
    pub fn freeze(&mut self, account: Address, frozen: bool) {
        if let Some(mut there) = self.account(account) {
            there.data[108] = if frozen { 2 } else { 1 };
            self.svm.set_account(account, there).expect("fits");
        }
    }
}
