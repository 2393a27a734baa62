// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A token that mints and burns as ours does, except in one way.
contract HostileDollar {
    enum Way {
        Honest,
        TakesAFee, // the receiver gets one unit less
        MintsMore, // one unit more than it was told
        BurnsLess, // one unit less than it was told
        KeepsAllowances, // what was allowed once stays
        GivesToTheSettlementGate, // each transfer to the payee gives the settlement gate a unit
        CallsBack // in the middle of each mint and each burn
    }

    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    uint256 public totalSupply;

    Way public way;
    address public settlementGate;
    address public target;
    bytes[] public calls;
    bytes[] public answers;

    function setWay(Way next, address settlementGate_) external {
        (way, settlementGate) = (next, settlementGate_);
    }

    function addCall(address target_, bytes calldata data) external {
        target = target_;
        calls.push(data);
    }

    function answered() external view returns (uint256) {
        return answers.length;
    }

    function mintWithMemo(address to, uint256 amount, bytes32) external {
        if (way == Way.MintsMore) ++amount;
        totalSupply += amount;
        balanceOf[to] += amount;
        if (way == Way.CallsBack) callBack();
    }

    function burnWithMemo(uint256 amount, bytes32) external {
        if (way == Way.BurnsLess) --amount;
        totalSupply -= amount;
        balanceOf[msg.sender] -= amount;
        if (way == Way.CallsBack) callBack();
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        if (way != Way.KeepsAllowances) allowance[from][msg.sender] -= amount;
        return move(from, to, amount);
    }

    function move(address from, address to, uint256 amount) private returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += way == Way.TakesAFee ? amount - 1 : amount;
        if (way == Way.GivesToTheSettlementGate) ++balanceOf[settlementGate];
        return true;
    }

    function callBack() private {
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool done, bytes memory answer) = target.call(calls[i]);
            require(!done, "let in");
            answers.push(answer);
        }
    }
}
