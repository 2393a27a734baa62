// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A token that moves balances right and answers as it is told.
contract OddAnswers {
    enum Answer {
        One,
        Nothing,
        SixtyFourBytes,
        False,
        Two,
        OneByte,
        Megabyte,
        RevertMegabyte,
        RevertNothing,
        BurnGas
    }

    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    Answer public answer;

    function setAnswer(Answer answer_) external {
        answer = answer_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        Answer a = answer;
        if (a == Answer.BurnGas) {
            uint256 i;
            while (gasleft() > 0) ++i;
        }
        assembly {
            switch a
            case 0 {
                mstore(0, 1)
                return(0, 32)
            }
            case 1 { return(0, 0) }
            case 2 {
                mstore(0, 1)
                mstore(32, 7)
                return(0, 64)
            }
            case 3 {
                mstore(0, 0)
                return(0, 32)
            }
            case 4 {
                mstore(0, 2)
                return(0, 32)
            }
            case 5 {
                mstore(0, shl(248, 1))
                return(0, 1)
            }
            case 6 {
                mstore(0, 1)
                return(0, 0x100000)
            }
            case 7 { revert(0, 0x100000) }
            default { revert(0, 0) }
        }
    }
}

/// @notice A token that calls somebody in the middle of each transfer.
contract CallsBack {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    address public target;
    bytes public data;
    bool public calledBack;
    bytes public answer;

    function setCall(address target_, bytes calldata data_) external {
        target = target_;
        data = data_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        // In the middle: taken, not yet given.
        balanceOf[from] -= amount;
        if (target != address(0)) {
            (calledBack, answer) = target.call(data);
        }
        balanceOf[to] += amount;
        return true;
    }
}

/// @notice The books of a token that has two addresses.
contract TwoDoors {
    mapping(address account => uint256) public balances;
    Door public front = new Door(this);
    Door public back = new Door(this);

    function mint(address to, uint256 amount) external {
        balances[to] += amount;
    }

    function move(address from, address to, uint256 amount) external {
        require(msg.sender == address(front) || msg.sender == address(back), "not a door");
        balances[from] -= amount;
        balances[to] += amount;
    }
}

/// @notice One of the two addresses.
contract Door {
    TwoDoors private immutable BOOKS;

    constructor(TwoDoors books) {
        BOOKS = books;
    }

    function balanceOf(address account) external view returns (uint256) {
        return BOOKS.balances(account);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        BOOKS.move(msg.sender, to, amount);
        return true;
    }
}
