// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1 {

/// Philox4x32-10: a keyed bijection of 128-bit counters whose outputs pass for independent random numbers.
///
///   philox{key}(counter) -> four 32-bit words
///
/// No state: the word for a counter is computed, not reached.
/// Source  Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3
class philox {
 public:
  using key_type = std::array<std::uint32_t, 2>;
  using counter_type = std::array<std::uint32_t, 4>;
  static constexpr int rounds = 10;

  constexpr explicit philox(key_type key) noexcept : key_(key) {}

  [[nodiscard]] constexpr counter_type operator()(counter_type counter) const noexcept {
    auto key = key_;
    for (int round = 0; round != rounds; ++round) {
      std::uint64_t const product_0 = std::uint64_t{0xD2511F53} * counter[0];
      std::uint64_t const product_2 = std::uint64_t{0xCD9E8D57} * counter[2];
      counter = {high(product_2) ^ counter[1] ^ key[0], low(product_2),
                 high(product_0) ^ counter[3] ^ key[1], low(product_0)};
      key[0] += 0x9E3779B9;  // golden ratio, a Weyl sequence
      key[1] += 0xBB67AE85;  // sqrt(3) - 1
    }
    return counter;
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word);
  }
  static constexpr std::uint32_t high(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 32);
  }

  key_type key_;
};

/// What random numbers are for. Two purposes never share a number, so that adding a draw of one kind to a program
/// leaves all others as they were. Values from `user` up to 0xffff are for users.
enum class random_purpose : std::uint16_t {
  initial_values,
  shuffle,
  data,
  label_noise,
  completion,
  dropout,
  noise,
  subset,
  selection,
  preference,
  user = 0x8000,
};

/// Where a random number lives. Equal addresses give equal numbers, whenever and on whichever thread they are asked
/// for; different addresses of one seed never share a Philox counter.
///
/// Ranges  step < 2^32, index < 2^48 (whatever counts within a step: row, token, element)
struct random_address {
  std::uint64_t seed = 0;
  random_purpose purpose = random_purpose::noise;
  std::uint64_t step = 0;
  std::uint64_t index = 0;
};

/// The random numbers at one address: a sequence of 2^34 words, from its beginning.
///
///   random_stream numbers({.seed = 7, .purpose = random_purpose::label_noise, .step = step, .index
///   = row}); bool const flipped = uniform01(numbers) < 0.1;
///
/// Bits    the seed is the Philox key; [block, index, purpose, step] is the counter
/// Errors  an address out of range does not construct; a draw past the end throws precondition_error
class random_stream {
 public:
  using result_type = std::uint32_t;

  constexpr explicit random_stream(random_address const& address)
      : generator_({static_cast<std::uint32_t>(address.seed),
                    static_cast<std::uint32_t>(address.seed >> 32)}),
        counter_{0, static_cast<std::uint32_t>(address.index),
                 static_cast<std::uint32_t>(address.index >> 32) |
                     static_cast<std::uint32_t>(address.purpose) << 16,
                 static_cast<std::uint32_t>(address.step)} {
    expects(address.step >> 32 == 0, "random_stream: step must be below 2^32");
    expects(address.index >> 48 == 0, "random_stream: index must be below 2^48");
  }

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return 0xffffffff; }

  /// The next 32 bits.
  constexpr result_type operator()() {
    if (used_ == words_.size()) refill();
    return words_[used_++];
  }

  /// The next 64 bits, the earlier word being the high half.
  constexpr std::uint64_t next64() {
    std::uint64_t const high = (*this)();
    return high << 32 | (*this)();
  }

 private:
  constexpr void refill() {
    expects(!at_end_, "random_stream: all 2^34 words of this address are used");
    words_ = generator_(counter_);
    at_end_ = ++counter_[0] == 0;
    used_ = 0;
  }

  philox generator_;
  philox::counter_type counter_;
  philox::counter_type words_{};
  std::size_t used_ = 4;
  bool at_end_ = false;
};

}  // namespace prefer::inline v0_1
