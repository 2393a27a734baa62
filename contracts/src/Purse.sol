// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPurseOrders} from "./interfaces/IPurseOrders.sol";
import {Tokens} from "./libraries/Tokens.sol";

/// @title The contract that exists only while it moves an invoice's money
/// @notice An invoice's address is where this init code would be created by the escrow with the terms hash as salt. To
/// move money the escrow creates it there: it asks the escrow what to do, does it, and is gone at the end of the
/// transaction, leaving no code, nonce 0 and no storage. So it can run again whenever money comes later.
///
/// @dev No constructor arguments: the address depends on the terms hash and the escrow alone. No runtime code: nobody
/// can ever call it. Only its creator could have it created at this address, so CALLER is trusted and nobody else is.
///
/// SELFDESTRUCT in the transaction of creation keeps its full meaning (EIP-6780), and it hands on the native coin
/// without calling the receiver: whoever forces coin onto an invoice's address cannot make its settlement fail.
contract Purse {
    /// @dev The creator has no order for this address, so it did not mean to run it.
    error NoOrder();

    // Payable only because it is cheaper; coin that already lies here is not a call's value.
    constructor() payable {
        bytes4 selector = IPurseOrders.order.selector;
        bool ordered;
        address token;
        address to;
        uint256 amount;
        address beneficiary;
        // The same as `IPurseOrders(msg.sender).order()`, without the checks that only a foreign caller would need.
        assembly ("memory-safe") {
            let answer := mload(0x40)
            mstore(0x00, selector)
            ordered := staticcall(gas(), caller(), 0x00, 0x04, answer, 0x80)
            ordered := and(ordered, eq(returndatasize(), 0x80))
            token := mload(answer)
            to := mload(add(answer, 0x20))
            amount := mload(add(answer, 0x40))
            beneficiary := mload(add(answer, 0x60))
        }
        if (!ordered) revert NoOrder();

        if (token != address(0)) {
            Tokens.transfer({token: token, to: to, amount: amount});
        }
        // Without coin nothing is handed on, and the creator is the cheapest account to hand nothing to.
        selfdestruct(payable(address(this).balance == 0 ? msg.sender : beneficiary));
    }
}
