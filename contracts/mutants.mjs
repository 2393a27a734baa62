#!/usr/bin/env node
// Breaks the contracts on purpose, one rule at a time, and sees that the test named for it notices. A mutant that
// survives is a rule without a test. Usage: mutants.mjs [PART OF A NAME]
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ESCROW = "src/InvoiceEscrow.sol";
const TERMS = "src/libraries/Terms.sol";
const TOKENS = "src/libraries/Tokens.sol";
const PURSE = "src/Purse.sol";
const GATE = "src/SettlementGate.sol";
const ATTESTED = "src/AttestedGate.sol";
const MINT = "src/MintGate.sol";
const FLOAT = "src/FloatGate.sol";
const DOLLAR = "src/ReserveToken.sol";
const GOVERNANCE = "src/Governance.sol";
const ROLES = "governance/roles.json";

// [what is broken, file, the code, what it becomes, test file, the test that must fail]
const mutants = [
  // Bugs that real peers had.
  ["surplus to the payee", ESCROW, "if (available >= due) return due;", "if (available >= due) return available;", "Settle", "test_X3_excessStaysForRefund"],
  ["surplus to the caller", ESCROW, "to: terms.payee, amount: amount, beneficiary: terms.refundTo", "to: terms.payee, amount: amount, beneficiary: msg.sender", "Settle", "test_settle_cannotBeBlockedByNativeCoinAtThePurse"],
  ["payment without adding up", ESCROW, "uint128 paid = before + uint128(amount);", "uint128 paid = uint128(amount);", "Settle", "test_settle_partialsArePassedOnUntilTheAmount"],
  ["due is not less what was paid", ESCROW, "uint256 due = terms.amount - before;", "uint256 due = terms.amount;", "Settle", "testFuzz_X2_partialsNeverExceedTheAmount"],
  ["collision: the purse runs twice in a transaction", ESCROW, "if (ran) revert AlreadyRan(purse);", "", "Settle", "test_settle_samePurseTwiceInOneTransactionReverts"],
  ["cancel that writes another's state: settler is not bound", TERMS, "termsHash := keccak256(start, 0x180)", "let settler_ := mload(add(terms, 0x120)) mstore(add(terms, 0x120), 0) termsHash := keccak256(start, 0x180) mstore(add(terms, 0x120), settler_)", "Cancel", "testFuzz_T1_cancelOfForgedTermsLeavesTheRealOnesAlone"],
  ["the last field is not bound", TERMS, "termsHash := keccak256(start, 0x180)", "termsHash := keccak256(start, 0x160)", "Terms", "testFuzz_X5_everyBitBindsTheAddress"],
  ["bits above a field make a second hash", TERMS, "if (excess != 0) revert IInvoiceEscrow.MalformedTerms();", "", "Terms", "testFuzz_terms_bitsAboveAFieldAreRefused"],

  // Who.
  ["anyone settles for a bound settler", ESCROW, "if (settler != address(0) && caller != settler) revert NotSettler(caller, settler);", "", "Settle", "test_settle_boundSettlerOnly"],
  ["a batch is authorised as the escrow itself", ESCROW, "_settle({given: terms, caller: caller});", "_settle({given: terms, caller: msg.sender});", "SettleBatch", "test_settleBatch_authorisesTheCallerOfTheBatchNotTheEscrowItself"],
  ["anyone runs an item as any caller", ESCROW, "if (msg.sender != address(this)) revert NotSelf(msg.sender);", "", "SettleBatch", "test_settleBatch_itemsAreForTheEscrowItself"],
  ["anyone cancels", ESCROW, "if (msg.sender != invoice.payee && msg.sender != invoice.settler) {", "if (msg.sender == address(0)) {", "Cancel", "test_cancel_byAnyoneElseReverts"],
  ["the payee pays himself", ESCROW, "if (msg.sender == invoice.payee) revert PayerIsPayee(msg.sender);", "", "Pay", "test_pay_byThePayeeReverts"],
  ["pay takes from refundTo", ESCROW, "from: msg.sender, to: invoice.payee", "from: invoice.refundTo, to: invoice.payee", "Pay", "test_pay_pullsFromTheCallerToThePayee"],
  ["anyone gets the order", ESCROW, "if (_word(msg.sender) != _running) revert NotRunning(msg.sender);", "", "Purse", "test_order_isForTheRunningPurseOnly"],

  // When.
  ["settle at closesAt", ESCROW, "if (block.timestamp >= terms.closesAt) revert Closed", "if (block.timestamp > terms.closesAt) revert Closed", "Settle", "test_X7_settleAtClosesAtReverts"],
  ["settle a second early no more", ESCROW, "if (block.timestamp >= terms.closesAt) revert Closed", "if (block.timestamp + 1 >= terms.closesAt) revert Closed", "Settle", "test_X7_settleOneSecondBeforeClosesAt"],
  ["settle after the end", ESCROW, "if (state.status != STATUS_OPEN) revert NotOpen(termsHash, state.status);", "", "Settle", "test_X10_settleAfterCancelReverts"],
  ["refund of an open invoice", ESCROW, "uint256 opensAt = kept && token == terms.token ? terms.closesAt : 0;", "uint256 opensAt = 0;", "Refund", "test_X7_refundOfTheInvoiceTokenBeforeClosesAtReverts"],
  ["refund only a second later", ESCROW, "if (block.timestamp < opensAt) revert NotRefundable", "if (block.timestamp <= opensAt) revert NotRefundable", "Refund", "test_refund_whereTheKeyDecidesWaitsThirtyDaysFromClosesAt"],
  ["the key does not decide", ESCROW, "opensAt = end + KEY_DECIDES_FOR;", "opensAt = end;", "Refund", "test_refund_whereTheKeyDecidesWaitsThirtyDaysFromClosesAt"],
  ["the key waits itself", ESCROW, "if (kind == KIND_REFUND && terms.refundKey", "if (terms.refundKey", "RefundByOrder", "test_refundByOrder_sendsEverythingWhereTheKeySays"],
  ["the wait runs from closesAt always", ESCROW, "uint256 end = state.status == STATUS_OPEN ? terms.closesAt : state.since;", "uint256 end = terms.closesAt;", "Refund", "test_refund_whereTheKeyDecidesWaitsThirtyDaysFromTheEnd"],
  ["native coin waits, too", ESCROW, "terms.refundKey != address(0) && token != address(0)", "terms.refundKey != address(0)", "Refund", "test_refund_ofNativeCoinAnyTime"],
  ["the wait wraps round", ESCROW, "opensAt = end + KEY_DECIDES_FOR;", "unchecked { opensAt = uint64(end) + uint64(KEY_DECIDES_FOR); }", "Refund", "test_refund_theGreatestClosesAtDoesNotWrap"],
  ["an order holds for ever", ESCROW, "if (block.timestamp > order_.deadline) revert OrderExpired(order_.deadline, block.timestamp);", "", "RefundByOrder", "test_refundByOrder_deadlineIncluded"],

  ["since is not kept", ESCROW, "uint256 since = status == STATUS_OPEN ? 0 : block.timestamp;", "uint256 since = 0;", "Cancel", "test_cancel_byPayee"],
  ["an open invoice has a since", ESCROW, "uint256 since = status == STATUS_OPEN ? 0 : block.timestamp;", "uint256 since = block.timestamp;", "Settle", "test_settle_partialsArePassedOnUntilTheAmount"],

  // Orders.
  ["an order is used again", ESCROW, "_used[digest] = true;", "", "RefundByOrder", "test_refundByOrder_onceEach"],
  ["an order for all chains", ESCROW, 'keccak256("1"), block.chainid, address(this)', 'keccak256("1"), uint256(8453), address(this)', "RefundByOrder", "test_E8_orderOfThisChainIsWorthlessOnAnother"],
  ["an order for all escrows", ESCROW, 'keccak256("1"), block.chainid, address(this)', 'keccak256("1"), block.chainid, address(0)', "RefundByOrder", "test_refundByOrder_sendsEverythingWhereTheKeySays"],
  ["an order for all invoices", ESCROW, "if (order_.termsHash != termsHash) revert OrderForOtherTerms(order_.termsHash, termsHash);", "", "RefundByOrder", "test_refundByOrder_ofOtherTermsReverts"],
  ["the key zero gives orders", ESCROW, "if (refundKey == address(0)) revert NoRefundKey(termsHash);", "", "RefundByOrder", "test_refundByOrder_whereThereIsNoKeyReverts"],
  ["an order to the purse", ESCROW, " || to == _purseOf(termsHash)) {", ") {", "RefundByOrder", "test_refundByOrder_toForbiddenAddressesReverts"],
  ["coin beside an order's token goes along", ESCROW, "beneficiary: token == address(0) ? to : terms.refundTo", "beneficiary: to", "RefundByOrder", "test_refundByOrder_ofATokenSendsNativeCoinToRefundTo"],
  ["coin of an order stays with refundTo", ESCROW, "beneficiary: token == address(0) ? to : terms.refundTo", "beneficiary: terms.refundTo", "RefundByOrder", "test_refundByOrder_ofNativeCoinGoesToOrderTo"],

  // How.
  ["no lock", ESCROW, "if (_busy != 0) revert Reentered();", "", "Purse", "test_E5_everyVerbIsShutWhileOneIsAtWork"],
  ["items get what gas there is", ESCROW, "if (gasleft() < gasNeeded) revert InsufficientGas(gasleft(), gasNeeded);", "", "SettleBatch", "test_E9_gasThatCannotBeGivenReverts"],
  ["1/64 is forgotten", ESCROW, "uint256 gasNeeded = gasPerItem + gasPerItem / 63 + GAS_TO_CALL_ITEM;", "uint256 gasNeeded = gasPerItem;", "SettleBatch", "test_E9_anItemGetsAllItsGasOrTheBatchReverts"],
  ["two doors", ESCROW, "if (balanceAfter < balanceBefore) revert InvoiceTokenMoved(termsHash, balanceBefore, balanceAfter);", "", "Refund", "test_refund_twoDoorsCannotEmptyAnOpenInvoice"],
  ["two doors of a paid invoice are shut", ESCROW, "bool kept = state.status == STATUS_OPEN && ", "bool kept = ", "Refund", "test_refund_twoDoorsCannotEmptyAnOpenInvoice"],
  ["invalid terms lock money up", ESCROW, "\n            && terms.brokenRule(purse) == Terms.Rule.None;", ";", "Refund", "testFuzz_T4_invalidTermsGiveBackAtOnce"],
  ["refund asks for valid terms", ESCROW, "        address refundTo = terms.refundTo;\n        if (refundTo == address(0)", "        terms.mustBeValid(address(0));\n        address refundTo = terms.refundTo;\n        if (refundTo == address(0)", "Refund", "test_T4_refundOnTheWrongChainAnyTimeOfAnyToken"],
  ["partials always", TERMS, "return terms.flags & FLAG_PARTIALS != 0;", "return true;", "Settle", "test_settle_exactTakesAllOrNothing"],
  ["any chain", TERMS, "if (terms.chain != block.chainid) return Rule.Chain;", "", "Settle", "test_settle_onAnotherChainReverts"],
  ["400 days are no limit", TERMS, " || terms.closesAt > block.timestamp + MAX_LIFETIME) return", ") return", "Terms", "test_terms_closesAt"],
  ["payee may be the settler", TERMS, " || payee == terms.settler", "", "Terms", "test_terms_payee"],
  ["false is taken for true", TOKENS, "size >= 32 && answer == 1", "true", "Purse", "test_purse_refusesAnythingElse"],
  ["answers are copied whole", TOKENS, "LONGEST_REASON = 256", "LONGEST_REASON = 1 << 40", "Purse", "test_purse_refusesAnythingElse"],
  ["the purse burns coin", PURSE, "address(this).balance == 0 ? msg.sender : beneficiary", "address(this)", "Settle", "test_settle_cannotBeBlockedByNativeCoinAtThePurse"],
  ["the purse stays", PURSE, "selfdestruct(payable(address(this).balance == 0 ? msg.sender : beneficiary));", "", "Settle", "test_settle_givesThePayeeExactlyTheAmountAndLeavesNoTrace"],

  // The invariants themselves can fail.
  ["X1: a unit is lost on the way back", ESCROW, "        amount = token == address(0) ? purse.balance : Tokens.balanceOf({token: token, account: purse});", "        amount = token == address(0) ? purse.balance : Tokens.balanceOf({token: token, account: purse});\n        if (amount > 500 && token != address(0)) to = address(1);", "invariant/Invariants", "invariant_X1_conservation"],
  ["X2: each partial payment is the first", ESCROW, "uint256 due = terms.amount - before;", "uint256 due = terms.amount;", "invariant/Invariants", "invariant_X2_neverPaidAboveAmount"],
  ["X3, T5: coin to whoever calls", ESCROW, "beneficiary: token == address(0) ? to : terms.refundTo", "beneficiary: msg.sender", "invariant/Invariants", "invariant_X3_T5_surplusToNobodyElse"],
  ["X10: an end that is not final", ESCROW, "if (state.status != STATUS_OPEN) revert NotOpen(termsHash, state.status);", "", "invariant/Invariants", "invariant_X10_endIsFinal"],
  ["X15: an event with the sum before", ESCROW, "            paid: paid,\n            status: status,", "            paid: before,\n            status: status,", "invariant/Invariants", "invariant_X15_eventsFoldToTheState"],
  ["E4: a purse that stays when it is paid in full", PURSE, "selfdestruct(payable(", "if (amount < 1000) selfdestruct(payable(", "invariant/Invariants", "invariant_E4_noTraceAtAnyPurse"],
  ["T1: payee is not bound", TERMS, "termsHash := keccak256(start, 0x180)", "let payee_ := mload(add(terms, 0x60)) mstore(add(terms, 0x60), 0) termsHash := keccak256(start, 0x180) mstore(add(terms, 0x60), payee_)", "invariant/Invariants", "invariant_X2_neverPaidAboveAmount"],

  // The gate.
  ["any clearer", GATE, "if (!clearer || signer == address(0)) revert NotClearer(signer);", "", "SettlementGate", "test_gate_payFromWithoutAClearanceReverts"],
  ["a clearance is used again", GATE, "clearanceUsed[digest] = true;", "", "SettlementGate", "test_gate_aClearanceIsForOnePayerOneInvoiceAndOnce"],
  ["a clearance for any payer", GATE, "termsHash, msg.sender, clearance.amount, validUntil", "termsHash, address(0), clearance.amount, validUntil", "SettlementGate", "test_gate_payFromWithAClearance"],
  ["cancels without limit", GATE, "if (paidOffAt > latest) {", "if (paidOffAt > type(uint256).max - 1) {", "SettlementGate", "test_gate_cancelsAreLimited"],
  ["the gate pays from its own", GATE, "if (balanceAfter != balanceBefore) revert GateBalanceChanged(token, balanceBefore, balanceAfter);", "", "SettlementGate", "test_T3_gateNeverPaysFromWhatLiesThere"],
  ["authorizations beyond the expiry", GATE, "if (authorization.validBefore > latest) revert AuthorizationTooLong(authorization.validBefore, latest);", "", "SettlementGate", "test_gate_fundAndSettleTakesNoAuthorizationBeyondTheShownExpiry"],
  ["a front-runner stops the gate", GATE, "if (!token.authorizationState(authorization.from, authorization.nonce)) {", "{", "SettlementGate", "test_gate_fundAndSettleGoesOnAfterAFrontRunner"],
  ["anyone pays without a clearance", GATE, "if (msg.sender != MINT_GATE && msg.sender != FLOAT_GATE) {", "if (msg.sender == address(0)) {", "SettlementGate", "test_gate_payFromWithoutAClearanceReverts"],
  ["a clearer who is nobody", GATE, "if (!clearer || signer == address(0))", "if (!clearer)", "SettlementGate", "test_gate_payFromWithoutAClearanceReverts"],

  // Money from off chain.
  ["a deposit is used again", ATTESTED, "depositUsed[depositId] = true;", "", "MintAndPay", "test_R3_oneDepositMintsOnce"],
  ["the terms are not signed", ATTESTED, "DEPOSIT_TYPEHASH, depositId, termsHash, TOKEN,", "DEPOSIT_TYPEHASH, depositId, bytes32(0), TOKEN,", "MintAndPay", "test_T3_mintAndPayDeliversToThePayeeAndKeepsNothing"],
  ["one attestor signs twice", ATTESTED, "if (signer <= previous) revert", "if (signer < previous) revert", "MintAndPay", "test_mintAndPay_byOneTwiceReverts"],
  ["any order of signers", ATTESTED, "if (signer <= previous) revert SignersNotAscending(previous, signer);", "", "MintAndPay", "test_mintAndPay_bySignersOutOfOrderReverts"],
  ["anyone attests", ATTESTED, "if (!attestor || signer == address(0)) revert NotAttestor(signer);", "", "MintAndPay", "test_mintAndPay_byAStrangerReverts"],
  ["nobody attests", ATTESTED, "if (!attestor || signer == address(0)) revert", "if (!attestor) revert", "MintAndPay", "test_E8_nobodysSignatureIsNotTheAttestorZero"],
  ["one signature is enough", ATTESTED, "if (signatures.length < needed) revert TooFewSignatures(signatures.length, needed);", "", "MintAndPay", "test_mintAndPay_byTooFewReverts"],
  ["an attestation holds for ever", ATTESTED, "block.timestamp > validUntil || ", "", "MintAndPay", "test_mintAndPay_anAttestationHoldsFifteenMinutesAtMost"],
  ["an attestation for next year", ATTESTED, " || validUntil > block.timestamp + LONGEST_ATTESTATION", "", "MintAndPay", "test_mintAndPay_anAttestationHoldsFifteenMinutesAtMost"],
  ["an attestation for all chains", ATTESTED, 'keccak256("1"), block.chainid, address(this)', 'keccak256("1"), uint256(8453), address(this)', "MintAndPay", "test_R3_anAttestationOfOneChainIsWorthlessOnAnother"],
  ["paid until the last second", ATTESTED, "if (terms.closesAt <= earliest) revert", "if (terms.closesAt < earliest) revert", "MintAndPay", "test_mintAndPay_stopsTenMinutesBeforeClosesAt"],
  ["any settler", ATTESTED, "if (terms.settler != address(0) && terms.settler != address(SETTLEMENT_GATE)) {", "if (terms.settler == address(1)) {", "MintAndPay", "test_mintAndPay_withAnotherSettlerReverts"],
  ["a card is a cash machine", ATTESTED, "payee == _MINT_GATE || ", "", "MintAndPay", "test_mintAndPay_toAGateReverts"],
  ["partials from off chain", ATTESTED, "if (terms.partials()) revert PartialsOn(termsHash);", "", "MintAndPay", "test_mintAndPay_wherePartialPaymentsArePassedOnReverts"],
  ["all of a deposit is minted", ATTESTED, "paid = invoice.amount - paidBefore;", "paid = deposit.amount;", "MintAndPay", "test_R1_mintAndPayNeverMintsAboveWhatIsDue"],
  ["more than the reserve", ATTESTED, "if (soFar + amount > latest.allocation) revert AboveAllocation(soFar, amount, latest.allocation);", "", "MintAndPay", "test_R1_mintAboveTheAllocationReverts"],
  ["the reserve of last week", ATTESTED, "_mustBeCurrent(latest.asOf);", "", "MintAndPay", "test_R1_mintOnAStaleStatementReverts"],
  ["the reserve rolled back", ATTESTED, "if (statement.nonce <= reserve.nonce) revert ReserveNotNewer(statement.nonce, reserve.nonce);", "", "AttestReserve", "test_R1_aStatementIsNeverRolledBack"],
  ["the same number again", ATTESTED, "statement.nonce <= reserve.nonce", "statement.nonce < reserve.nonce", "AttestReserve", "test_R1_aStatementIsNeverRolledBack"],
  ["a reserve of the future", ATTESTED, "statement.asOf > block.timestamp || ", "", "AttestReserve", "test_R1_aStatementOfTheFutureReverts"],
  ["no limit of a day", ATTESTED, "_useDailyCap(paid);", "", "MintAndPay", "testFuzz_R2_mintsNeverExceedTheRate"],
  ["the day's limit comes back at once", ATTESTED, "return used > back ? used - back : 0;", "return back == 0 ? used : 0;", "MintAndPay", "test_mintAndPay_theDailyCapComesBackEvenly"],
  ["minting goes on while paused", ATTESTED, "if (_limits.paused) revert MintIsPaused();", "", "MintAndPay", "test_mintAndPay_whilePausedReverts"],
  ["lowering raises", ATTESTED, "if (next >= _limits.dailyCap) revert NotLower(next, _limits.dailyCap);", "", "Governance", "test_G1_whatTightensIsDoneAtOnce"],
  ["the payee's balance is not looked at", ATTESTED, "if (now_.payee != expected.payee) revert WrongBalanceAfter(payee, now_.payee, expected.payee);", "", "GateTokens", "test_T3_aTokenThatTakesAFeeIsNotMinted"],
  ["the record is not looked at", ATTESTED, "if (paidAfter != paidBefore + paid) revert PaidNotAsIssued(paidAfter - paidBefore, paid);", "", "GateTokens", "test_T3_whatIsNotRecordedAsPaidIsNotMinted"],
  ["an allowance stays", ATTESTED, "if (allowance != 0) revert AllowanceLeft(owner, spender, allowance);", "", "GateTokens", "test_E3_aTokenThatKeepsAllowancesIsNotMinted"],
  ["redeemed twice", MINT, "redeemed[termsHash] = true;", "", "Redeem", "test_R3_oneRedemptionBurnsOnce"],
  ["redeemed before it is paid", MINT, "if (status != STATUS_PAID) revert NotPaid(termsHash, status);", "", "Redeem", "test_R3_aRedemptionThatIsNotPaidReverts"],
  ["redeemed for anyone's invoice", MINT, "if (invoice.payee != address(this)) revert PayeeNotGate(invoice.payee, address(this));", "", "Redeem", "test_redeem_ofAnothersInvoiceReverts"],
  ["redeemed with junk", ATTESTED, "if (terms.token != TOKEN) revert WrongToken(terms.token, TOKEN);", "", "Redeem", "test_redeem_ofJunkTokensReverts"],
  ["we stop redemptions", MINT, "function redeem(InvoiceTerms calldata terms) external nonReentrant", "function redeem(InvoiceTerms calldata terms) external restricted nonReentrant", "Redeem", "test_R5_nothingOfOursStopsARedemption"],
  ["no lock at the mint gate", MINT, "function redeem(InvoiceTerms calldata terms) external nonReentrant", "function redeem(InvoiceTerms calldata terms) external", "GateTokens", "test_E5_everyVerbOfTheMintGateIsShutWhileOneIsAtWork"],
  ["the float's payments are not counted", FLOAT, "_paid += amount;", "", "FloatGate", "test_R1_floatGatePaysNoMoreThanItsAllocation"],
  ["anyone takes the float", FLOAT, "external restricted nonReentrant", "external nonReentrant", "FloatGate", "test_G1_floatIsWithdrawnByGovernanceOnlyAndAfterItsDelay"],
  ["anyone mints", DOLLAR, "if (msg.sender != MINT_GATE) revert NotMintGate(msg.sender, MINT_GATE);", "", "ReserveToken", "test_G4_onlyTheMintGateMintsAndBurns"],
  ["authorizations in blocks", DOLLAR, "if (block.timestamp <= validAfter || block.timestamp >= validBefore) {", "if (block.timestamp <= validAfter % (1 << 47) || (block.timestamp >= validBefore && validBefore < 1 << 47)) {", "ReserveToken", "test_dollar_authorizationsAreInSeconds"],

  // Governance.
  ["the last admin leaves", GOVERNANCE, "if (roleId == ADMIN_ROLE) revert AccessManagerLockedRole(roleId);", "", "Governance", "test_G3_noAdminStepsBackAtOnce"],
  ["no delay of the admin", ROLES, '"role": "ADMIN", "holder": "safe", "executionDelay": 604800', '"role": "ADMIN", "holder": "safe", "executionDelay": 0', "Governance", "test_G1_whatChangesTheTableWaits"],
  ["no delay of the governor", ROLES, '"role": "GOVERNOR", "holder": "safe", "executionDelay": 172800', '"role": "GOVERNOR", "holder": "safe", "executionDelay": 0', "Governance", "test_G1_whatLoosensWaits"],
  ["attestors are in at once", ROLES, '"name": "ATTESTOR", "admin": "KEEPER_OF_KEYS", "grantDelay": 172800', '"name": "ATTESTOR", "admin": "KEEPER_OF_KEYS", "grantDelay": 0', "Governance", "test_G1_whoeverIsGrantedARoleWaits"],
  ["attestors are out only later", ROLES, '"role": "KEEPER_OF_KEYS", "holder": "safe", "executionDelay": 0', '"role": "KEEPER_OF_KEYS", "holder": "safe", "executionDelay": 10', "Governance", "test_G2_aRoleThatIsRevokedIsOutAtOnce"],
  ["nobody calls the governor off", ROLES, ', "guardian": "GUARDIAN"', "", "Governance", "test_G1_aGuardianCallsOffWhatWaits"],
  ["the brake also raises", ROLES, '{ "role": "BRAKE", "signatures": ["pauseMint()", "lowerDailyCap(uint96)"] },\n        { "role": "GOVERNOR", "signatures": ["unpauseMint()", "setDailyCap(uint96)", "setThreshold(uint8)"] }', '{ "role": "BRAKE", "signatures": ["pauseMint()", "lowerDailyCap(uint96)", "setDailyCap(uint96)"] },\n        { "role": "GOVERNOR", "signatures": ["unpauseMint()", "setThreshold(uint8)"] }', "Governance", "test_G1_whatLoosensWaits"],

  // The invariants of the mint gate can fail.
  ["R1: more than the reserve", ATTESTED, "if (soFar + amount > latest.allocation) revert AboveAllocation(soFar, amount, latest.allocation);", "", "invariant/MintInvariants", "invariant_R1_noMintAboveTheAllocation"],
  ["R3: a deposit twice", ATTESTED, "depositUsed[depositId] = true;", "", "invariant/MintInvariants", "invariant_R3_depositsAndRedemptionsOnce"],
  ["R4: a burn that is not all", MINT, "IReserveToken(TOKEN).burnWithMemo({amount: burned, memo: termsHash});", "IReserveToken(TOKEN).burnWithMemo({amount: burned - 1, memo: termsHash}); expected += 1;", "invariant/MintInvariants", "invariant_R4_supplyIsMintedLessRedeemed"],
  ["T3: an allowance stays", ATTESTED, "        _mustBeZero({owner: address(this), spender: spender});\n", "        _mustBeZero({owner: address(this), spender: spender});\n        Tokens.approve({token: TOKEN, spender: spender, amount: 1});\n", "invariant/MintInvariants", "invariant_T3_nothingRestsAtAGate"],
];

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const platform = { linux: "linux-amd64", darwin: "darwin-arm64", win32: "win32-amd64" }[process.platform];
const installed = join(root, "node_modules", "@foundry-rs", `forge-${platform}`, "bin", "forge");
const forge = existsSync(installed) ? installed : "forge";

const work = mkdtempSync(join(tmpdir(), "monay-mutants-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));
for (const name of ["node_modules", "scripts", "crates"]) symlinkSync(join(root, name), join(work, name));

let survived = 0;
const wanted = process.argv[2] ?? "";
for (const [what, file, from, to, testFile, test] of mutants) {
  if (!what.includes(wanted)) continue;
  const copy = join(work, "contracts");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, "test"), { recursive: true });
  const parts = ["src", "foundry.toml", "artifacts", "governance", "lib", "test/base", "test/tokens", `test/${testFile}.t.sol`];
  if (testFile.startsWith("invariant")) parts.push("test/invariant/Handler.sol", "test/invariant/MintHandler.sol");
  for (const part of parts) {
    cpSync(join(here, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
  }
  // One way of building everything takes half the time, and what the tests see is the same.
  const config = join(copy, "foundry.toml");
  writeFileSync(config, readFileSync(config, "utf8").replace(/^(additional_compiler_profiles|compilation_restrictions) = .*\n/gm, ""));
  const source = readFileSync(join(copy, file), "utf8");
  if (source.split(from).length !== 2) {
    console.log(`STALE     ${what}: its code is not exactly once in ${file}`);
    survived += 1;
    continue;
  }
  // Which of a handler's calls notices first does not matter: any failure of the invariant's test is one.
  writeFileSync(join(copy, file), source.replace(from, () => to));
  const result = spawnSync(forge, ["test", "--match-test", `^${test}\\(`], { cwd: copy, encoding: "utf8" });
  const killed = result.stdout.includes("[FAIL") && result.stdout.includes(test);
  if (!killed) survived += 1;
  console.log(`${killed ? "killed   " : "SURVIVED "} ${what}  (${test})`);
  if (!killed && !result.stdout.includes("[PASS]")) console.log(result.stdout.slice(-1500), result.stderr.slice(-1500));
}
console.log(survived === 0 ? "every mutant was killed" : `${survived} mutants were not killed`);
process.exit(survived === 0 ? 0 : 1);
