// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/model/finished_completion.hpp>
#include <prefer/lm/text/tokenizer.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/any_policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/any_reference.hpp>

#include "model_options.hpp"
#include "reference_choice.hpp"

// A language model behind an interface: its kernels are compiled in one unit, whatever programs do with it.

namespace language {

/// A reference, with what it is made of.
class held_reference {
 public:
  held_reference() = default;
  held_reference(held_reference const&) = delete;
  held_reference& operator=(held_reference const&) = delete;
  virtual ~held_reference() = default;

  /// Valid as long as this and the policy that it was made of.
  [[nodiscard]] virtual prefer::any_reference<float> handle() = 0;
};

/// What a cached reference is computed of, and who is told how far that is; `advance` may throw.
struct rows_to_cache {
  prefer::choice_data const* data = nullptr;
  std::uint64_t made_of = 0;  ///< stands for all that the numbers depend on besides the model
  std::string path = {};      ///< read where it is there, else written; empty: neither
  std::function<void(std::size_t groups)> advance = [](std::size_t) {};
};

/// How an adapter begins.
struct adapter_options {
  std::size_t rank = 16;
  double alpha = 32;
  bool rank_stabilised = false;
  double dropout = 0;
  std::vector<std::string> targets = {};
  std::uint64_t seed = 1;
};

/// A policy of a model.
class held_policy {
 public:
  using finished_listener = std::function<void(std::span<prefer::lm::finished_completion const>)>;

  held_policy() = default;
  held_policy(held_policy const&) = delete;
  held_policy& operator=(held_policy const&) = delete;
  virtual ~held_policy() = default;

  /// Valid as long as this.
  [[nodiscard]] virtual prefer::any_policy<float> handle() = 0;
  /// How many numbers train.
  [[nodiscard]] virtual std::size_t trained() = 0;
  [[nodiscard]] virtual bool has_adapter() const = 0;
  /// At its start it says what the model without any adapter says.
  [[nodiscard]] virtual bool begins_as_base() const = 0;
  /// Completions as the policy samples them; `heard` is told of each that is ready, and ends all of it by an exception.
  virtual void sample(std::span<std::uint32_t const> prompts, prefer::sampling_options const& how,
                      prefer::random_address const& from, prefer::token_table& into,
                      std::span<std::uint32_t> ids, finished_listener const& heard) = 0;
  /// The completion of some tokens that the policy samples at this address; each token is handed out as it is drawn.
  virtual void stream(std::span<std::uint32_t const> prompt, prefer::sampling_options const& how,
                      prefer::random_address const& from,
                      std::function<void(std::uint32_t)> const& heard) = 0;

  /// Errors  precondition_error for an adapter that is not there; backend_error for another vocabulary, a cache of others
  [[nodiscard]] virtual std::unique_ptr<held_reference> reference(reference_choice const& choice,
                                                                  rows_to_cache const& rows) = 0;

  /// Writes the adapter in PEFT's layout. Errors  backend_error
  virtual void save_adapter(std::string const& folder) = 0;
  /// Writes a model of which all weights trained, in the form that it had: a GGUF file or a folder.
  virtual void save_model(std::string const& path, prefer::executor threads) = 0;
};

/// A model that is open. Who opens a file that is open already, and holds its weights in the same way, shares them.
class model {
 public:
  /// Errors  backend_error and precondition_error for what is no such model, and for products that are not here
  explicit model(model_options const& options);
  model(model const&) = delete;
  model& operator=(model const&) = delete;
  ~model();

  [[nodiscard]] prefer::lm::tokenizer const& words() const;
  [[nodiscard]] prefer::lm::llama_config const& config() const;
  [[nodiscard]] prefer::executor threads();
  /// The model, its size, what its weights are held as, and who computes, in a sentence.
  [[nodiscard]] std::string in_words() const;
  /// Stands for every number of its weights, and how they are held and multiplied.
  [[nodiscard]] std::uint64_t identity() const;
  /// Who multiplies matrices.
  [[nodiscard]] std::string products() const;

  /// Nothing of it trains: the model with the adapter of its options, or as it is. `texts` outlives the policy.
  [[nodiscard]] std::unique_ptr<held_policy> fixed(prefer::token_sequences const& texts);
  /// Nothing of it trains, and the adapter of its options is left out.
  [[nodiscard]] std::unique_ptr<held_policy> start(prefer::token_sequences const& texts);
  /// An adapter trains: the one of its options where there is one, else a new one.
  [[nodiscard]] std::unique_ptr<held_policy> with_adapter(prefer::token_sequences const& texts,
                                                          adapter_options const& adapter);
  /// All of it trains. The weights are the policy's from here on, and are read again for another.
  [[nodiscard]] std::unique_ptr<held_policy> whole(prefer::token_sequences const& texts);
  /// Nothing of it trains: the reward model that an adapter on disk makes of it, or without one that it is, whose log_prob is a
  /// score.
  [[nodiscard]] std::unique_ptr<held_policy> scorer(prefer::token_sequences const& texts,
                                                    std::string const& adapter);
  /// A reward model that trains, adapter and head: the one of its options where there is one, else a new one; of an adapter
  /// without a head the head is new.
  [[nodiscard]] std::unique_ptr<held_policy> scorer_with_adapter(
      prefer::token_sequences const& texts, adapter_options const& adapter);
  /// A reward model of which all trains, with the head that it has, or a new one. As of `whole`, the weights are its own.
  [[nodiscard]] std::unique_ptr<held_policy> whole_scorer(prefer::token_sequences const& texts);
  /// It is one GGUF file, not a folder.
  [[nodiscard]] bool is_gguf() const;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// Whether a model on disk, with the adapter of its options, is a reward model. False where there is none to be read.
[[nodiscard]] bool is_reward_model(model_options const& options);

}  // namespace language
