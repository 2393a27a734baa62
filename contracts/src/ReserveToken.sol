// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IAttestedGate} from "./interfaces/IAttestedGate.sol";
import {IReserveToken} from "./interfaces/IReserveToken.sol";

/// @title A dollar of ours, backed by the reserve
/// @notice ERC-20 with EIP-2612 and EIP-3009. Nobody owns, pauses, blocks or upgrades it, and only the mint gate mints
/// and burns.
contract ReserveToken is IReserveToken, ERC20, ERC20Permit, ERC3009 {
    /// @notice Mints and burns.
    address public immutable MINT_GATE;

    /// @notice Only the mint gate mints and burns.
    error NotMintGate(address caller, address mintGate);
    /// @notice The gate is for another token.
    error GateOfAnotherToken(address token, address here);

    modifier onlyMintGate() {
        if (msg.sender != MINT_GATE) revert NotMintGate(msg.sender, MINT_GATE);
        _;
    }

    /// @param mintGate Is there already and knows where this token will be.
    constructor(string memory name_, string memory symbol_, IAttestedGate mintGate)
        ERC20(name_, symbol_)
        ERC20Permit(name_)
    {
        address token = mintGate.TOKEN();
        if (token != address(this)) revert GateOfAnotherToken(token, address(this));
        MINT_GATE = address(mintGate);
    }

    /// @inheritdoc IReserveToken
    function mintWithMemo(address to, uint256 amount, bytes32 memo) external onlyMintGate {
        _mint(to, amount);
        emit TransferWithMemo(address(0), to, amount, memo);
        emit Mint(to, amount);
    }

    /// @inheritdoc IReserveToken
    function burnWithMemo(uint256 amount, bytes32 memo) external onlyMintGate {
        _burn(msg.sender, amount);
        emit TransferWithMemo(msg.sender, address(0), amount, memo);
        emit Burn(msg.sender, amount);
    }

    /// @notice EIP-3009 with a signature of any length, for accounts that are contracts (ERC-1271).
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce))
        );
        if (!SignatureChecker.isValidSignatureNow(from, digest, signature)) revert ERC3009InvalidSignature();
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    /// @notice As the dollar that it is: 6.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @inheritdoc IReserveToken
    function totalSupply() public view override(ERC20, IReserveToken) returns (uint256) {
        return super.totalSupply();
    }

    /// @dev Seconds only, as in the standard and in USDC. The library would take some numbers for blocks.
    function _checkValidity(uint256 validAfter, uint256 validBefore) internal view override {
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert ERC3009InvalidAuthorizationTime(validAfter, validBefore);
        }
    }
}
