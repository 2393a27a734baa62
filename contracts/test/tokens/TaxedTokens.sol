// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Keeps 1 % of each transfer, rounded up.
contract TakesAFee is ERC20 {
    constructor() ERC20("Fee", "FEE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, amount);
        uint256 fee = (amount + 99) / 100;
        super._update(from, to, amount - fee);
        super._update(from, address(0), fee);
    }
}

/// @notice Balances are shares of a pot that grows and shrinks.
contract Rebases {
    mapping(address account => uint256) public shares;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    uint256 public percent = 100;

    function setPercent(uint256 percent_) external {
        percent = percent_;
    }

    function mint(address to, uint256 amount) external {
        shares[to] += amount * 100;
    }

    function balanceOf(address account) public view returns (uint256) {
        return shares[account] * percent / 10_000;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        uint256 moved = amount * 10_000 / percent;
        shares[msg.sender] -= moved;
        shares[to] += moved;
        return true;
    }
}

/// @notice Reverts on a transfer of nothing, as some real tokens do.
contract RevertsOnZero is ERC20 {
    constructor() ERC20("Zero", "ZERO") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(amount != 0, "nothing");
        super._update(from, to, amount);
    }
}

interface IReceiver {
    function tokensReceived(address from, uint256 amount) external;
}

/// @notice Tells a receiver that is a contract, after the transfer, as ERC-777 and ERC-1363 do.
contract TellsReceivers is ERC20 {
    constructor() ERC20("Hook", "HOOK") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to.code.length != 0) IReceiver(to).tokensReceived(from, amount);
    }
}
