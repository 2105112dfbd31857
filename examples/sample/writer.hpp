// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/policy/sampling_policy.hpp>

#include "completions.hpp"

namespace sample {

/// Which of the two policies writes that a model with an adapter is.
enum class side { tuned, start };

/// A prompt, and the number at which its completion is drawn.
struct request {
  prefer::data::turns const* prompt = nullptr;
  std::size_t number = 0;
};

/// A model that writes completions, with its tokenizer.
///
/// Semantics  a completion depends on its request, on `how`, on the seed and on the side alone, not on the others of a call
class writer {
 public:
  /// What becomes of a completion: the number of its request in the call, and what was written.
  using taker = std::function<void(std::size_t request, completion)>;
  /// Called with each new piece of text as it is drawn.
  using listener = std::function<void(std::string_view)>;

  virtual ~writer() = default;
  /// A completion for each request, given to `take` in the order of requests, each as soon as it and all before it are ready.
  ///
  /// Errors  precondition_error for a prompt that leaves no room in the model's context; program::stop where somebody asked
  ///         for the end; what `take` throws
  virtual void write(std::span<request const> requests, prefer::sampling_options const& how,
                     std::uint64_t seed, side by, taker const& take) = 0;
  /// The completion of one request, by the tuned policy, told while it is drawn.
  virtual completion stream(request const& of, prefer::sampling_options const& how,
                            std::uint64_t seed, listener const& heard) = 0;
  /// For each completion of the last `write` log p_tuned(y|x) - log p_start(y|x), in nats; nothing where there is no adapter.
  virtual std::optional<std::vector<double>> log_ratios() = 0;
  /// What is at work, for people: model, type of weights, products, threads.
  [[nodiscard]] virtual std::string description() const = 0;
  /// Of the model, its adapter and its tokenizer.
  [[nodiscard]] virtual std::uint64_t identity() const = 0;

 protected:
  writer() = default;
  writer(writer const&) = default;
  writer& operator=(writer const&) = default;
};

}  // namespace sample
