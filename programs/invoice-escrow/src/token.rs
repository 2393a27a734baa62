//! Mints and token accounts of SPL Token and Token-2022: what their bytes say, and calls of their programs.
//!
//! Both programs have the same first bytes: a mint 82, an account 165. Token-2022 may put more behind: the kind of account in
//! byte 165, then extensions, each with a type and a length.

use crate::stop::{Outcome, ensure};
use escrow_interface::{
    Error, Key,
    address::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM, associated_token},
    same,
};
use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer, invoke_signed_with_bounds},
    instruction::{InstructionAccount, InstructionView},
};
use runtime::{
    cpi::{Given, call},
    sys, system,
};

const MINT_BYTES: usize = 82;
const ACCOUNT_BYTES: usize = 165;
/// A multisig of Token-2022 is told from everything else by its length, and by nothing else.
const MULTISIG_BYTES: usize = 355;
const KIND_MINT: u8 = 1;
const KIND_ACCOUNT: u8 = 2;

/// ImmutableOwner, MetadataPointer, TokenMetadata, GroupPointer, GroupMemberPointer: PROTOCOL §6.
const ALLOWED: [u16; 5] = [7, 18, 19, 20, 22];

/// The most accounts that a transfer passes on, its own four among them.
const MOST: usize = 56;

/// A mint and its program, as the instruction names them.
pub struct Tokens<'a> {
    /// The mint's account.
    pub mint: &'a AccountView,
    /// The token program.
    pub program: &'a Address,
}

impl Tokens<'_> {
    /// That the program is one of the two.
    #[inline(always)]
    pub fn known(&self) -> Outcome {
        let program = self.program.as_array();
        ensure(same(program, &TOKEN_PROGRAM) || same(program, &TOKEN_2022_PROGRAM), Error::WrongTokenProgram)
    }

    /// The mint's decimals, if it is one of this program.
    #[inline(never)]
    pub fn decimals(&self) -> Option<u8> {
        let data = self.body(self.mint, MINT_BYTES, KIND_MINT)?;
        let data = data.first_chunk::<MINT_BYTES>()?;
        (data[45] == 1).then_some(data[44])
    }

    /// What lies in the account, if it is `owner`'s account for this mint.
    #[inline(always)]
    pub fn balance(&self, account: &AccountView, owner: &Key) -> Option<u64> {
        let data = self.body(account, ACCOUNT_BYTES, KIND_ACCOUNT)?;
        let (holder, amount) = self.held(&data)?;
        same(holder, owner).then_some(amount)
    }

    /// What lies in the account, whoever owns it and whatever its mint.
    #[inline(always)]
    pub fn amount(&self, account: &AccountView) -> Option<u64> {
        let data = self.body(account, ACCOUNT_BYTES, KIND_ACCOUNT)?;
        data.get(64..)?.first_chunk().map(|amount| u64::from_le_bytes(*amount))
    }

    /// What `owner` has in an account that may not have been made yet: then nothing lies there.
    #[inline(always)]
    pub fn lies_in(&self, account: &AccountView, owner: &Key) -> Option<u64> {
        if account.owned_by(&system::SYSTEM) && account.is_data_empty() {
            Some(0)
        } else {
            self.balance(account, owner)
        }
    }

    /// Whose account it is, if it is one for this mint.
    #[inline(always)]
    pub fn owner(&self, account: &AccountView) -> Option<Key> {
        let data = self.body(account, ACCOUNT_BYTES, KIND_ACCOUNT)?;
        self.held(&data).map(|(owner, _)| *owner)
    }

    #[inline(always)]
    fn held<'b>(&self, data: &'b [u8]) -> Option<(&'b Key, u64)> {
        let data = data.first_chunk::<ACCOUNT_BYTES>()?;
        let (mint, rest) = data.split_first_chunk::<32>()?;
        let (owner, rest) = rest.split_first_chunk::<32>()?;
        let amount = rest.first_chunk::<8>()?;
        // 1: in use, 2: frozen.
        let made = matches!(data[108], 1 | 2);
        (made && same(mint, self.mint.address().as_array())).then_some((owner, u64::from_le_bytes(*amount)))
    }

    /// Its data, if it is this program's and of that kind.
    #[inline(always)]
    fn body<'b>(&self, account: &'b AccountView, bytes: usize, kind: u8) -> Option<pinocchio::account::Ref<'b, [u8]>> {
        if !account.owned_by(self.program) {
            return None;
        }
        let data = account.try_borrow().ok()?;
        let plain = data.len() == bytes;
        let extended = data.len() > ACCOUNT_BYTES && data.len() != MULTISIG_BYTES && data.get(165) == Some(&kind);
        (plain || extended).then_some(data)
    }

    /// That the account, if it is Token-2022's, has no extension that is not on the list.
    #[inline(never)]
    pub fn allowed(&self, account: &AccountView) -> Outcome {
        let data = account.try_borrow()?;
        let Some(mut rest) = data.get(ACCOUNT_BYTES + 1..) else { return Ok(()) };
        while let Some(([kind_0, kind_1, length_0, length_1], tail)) = rest.split_first_chunk::<4>() {
            let kind = u16::from_le_bytes([*kind_0, *kind_1]);
            // Nothing comes after this one; what it does not end Token-2022 does not read either.
            if kind == 0 {
                return Ok(());
            }
            ensure(ALLOWED.contains(&kind), Error::ExtensionRefused)?;
            let length = usize::from(u16::from_le_bytes([*length_0, *length_1]));
            let Some(tail) = tail.get(length..) else { return Err(Error::ExtensionRefused.into()) };
            rest = tail;
        }
        ensure(rest.iter().all(|byte| *byte == 0), Error::ExtensionRefused)
    }

    /// Moves `amount`.
    #[inline(never)]
    pub fn transfer(&self, route: &Route<'_>, amount: u64) -> Outcome {
        // TransferChecked.
        let mut data = [12; 10];
        system::put(&mut data, 1, &amount.to_le_bytes());
        system::put(&mut data, 9, &[route.decimals]);
        if !route.more.is_empty() {
            return self.transfer_with(route, &data);
        }
        let [from, to] = [route.from, route.to].map(Given::write);
        let authority = Given::read(route.authority).signing();
        Ok(call(self.program, [from, Given::read(self.mint), to, authority], &data, route.seeds)?)
    }

    /// The same with further accounts.
    #[inline(never)]
    fn transfer_with(&self, route: &Route<'_>, data: &[u8; 10]) -> Outcome {
        let own = [
            InstructionAccount::writable(route.from.address()),
            InstructionAccount::readonly(self.mint.address()),
            InstructionAccount::writable(route.to.address()),
            InstructionAccount::readonly_signer(route.authority.address()),
        ];
        let count = own.len() + route.more.len();
        let mut accounts: [InstructionAccount<'_>; MOST] =
            core::array::from_fn(|_| InstructionAccount::readonly(self.mint.address()));
        let mut views = [self.mint; MOST];
        let (Some(all), Some(seen)) = (accounts.get_mut(..count), views.get_mut(..count)) else {
            return Err(Error::InvalidInstruction.into());
        };
        let own_views = [route.from, self.mint, route.to, route.authority];
        for ((place, view), (account, seen)) in all.iter_mut().zip(seen.iter_mut()).zip(own.into_iter().zip(own_views))
        {
            (*place, *view) = (account, seen);
        }
        for ((place, view), account) in all.iter_mut().zip(seen.iter_mut()).skip(own_views.len()).zip(route.more) {
            (*place, *view) = (InstructionAccount::new(account.address(), account.is_writable(), false), account);
        }
        let transfer = InstructionView { program_id: self.program, accounts: all, data };
        call_with(&transfer, seen, &[Signer::from(route.seeds)])
    }

    /// Closes an empty account of ours; its lamports go to `to`.
    #[inline(always)]
    pub fn close(&self, route: &Route<'_>) -> Outcome {
        let [from, to] = [route.from, route.to].map(Given::write);
        Ok(call(self.program, [from, to, Given::read(route.authority).signing()], &[9], route.seeds)?)
    }
}

/// From where to where.
pub struct Route<'a> {
    /// A token account.
    pub from: &'a AccountView,
    /// Another one; where an account is closed, anywhere.
    pub to: &'a AccountView,
    /// Who owns the first.
    pub authority: &'a AccountView,
    /// What the authority signs with, if it is an address of ours.
    pub seeds: &'a [Seed<'a>],
    /// The mint's.
    pub decimals: u8,
    /// What a transfer hook may ask for besides: passed on read-only or writable as it came, and never as a signer, whatever it
    /// signed.
    pub more: &'a [AccountView],
}

/// A frame of its own: the accounts of the call are most of the stack that a function may have.
#[inline(never)]
fn call_with(
    instruction: &InstructionView<'_, '_, '_, '_>,
    views: &[&AccountView],
    signers: &[Signer<'_, '_>; 1],
) -> Outcome {
    Ok(invoke_signed_with_bounds::<MOST, _>(instruction, views, signers)?)
}

/// Whether this is the associated token account of `owner`; why a bump may be claimed says [`associated_token`].
#[inline(always)]
pub fn is_associated(account: &AccountView, owner: &Key, tokens: &Tokens<'_>, bump: u8) -> bool {
    let (program, mint) = (tokens.program.as_array(), tokens.mint.address().as_array());
    same(account.address().as_array(), &sys::sha256(associated_token(owner, program, mint, &[bump])))
}

/// Makes the associated token account of `owner`, if there is none: `accounts` are payer, account, owner, mint, system program,
/// token program.
#[inline(always)]
pub fn create_associated(program: &Address, accounts: &[&AccountView; 6]) -> Outcome {
    let [payer, account, owner, mint, system, token_program] = accounts;
    let [owner, mint, system, token_program] = [owner, mint, system, token_program].map(|account| Given::read(account));
    let given = [Given::write(payer).signing(), Given::write(account), owner, mint, system, token_program];
    // CreateIdempotent.
    Ok(call(program, given, &[1], &[])?)
}
