// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace language {

/// What a policy is held near, as --reference has it.
struct reference_choice {
  enum class kind : std::uint8_t {
    adapter_off,  ///< the policy without its adapter
    frozen,       ///< a copy of the policy as it is at the start
    cached,       ///< what the policy says at the start of each row, computed once
    moving,       ///< an average that follows the policy
    other_model,  ///< another model
    none          ///< nothing
  };
  kind is = kind::none;
  std::string path = {};    ///< of a cache or a model
  double rate = 0.0;        ///< of the policy in an average
  std::uint64_t every = 1;  ///< steps between its updates

  /// It can be asked for distributions over the vocabulary, not for log-probabilities of completions alone.
  [[nodiscard]] bool gives_distributions() const { return is != kind::cached && is != kind::none; }
};

/// Reads adapter-off, frozen, cached or cached:FILE, ema:RATE or ema:RATE,EVERY, model:FILE, none.
///
/// Errors  precondition_error that quotes the text
[[nodiscard]] reference_choice reference_named(std::string const& text);

}  // namespace language
