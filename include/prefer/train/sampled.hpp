// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/judges.hpp>

namespace prefer::inline v0_1 {

/// How examples are sampled.
struct sampled_options {
  std::size_t prompts_per_step = 32;
  std::size_t completions = 2;  ///< written for each prompt
  sampling_options sampling = {};
  std::uint64_t seed = 1;  ///< of the order of prompts, the completions and what the judge draws
};

/// Examples that the policy writes itself, anew at each step, and a judge turns into pairs, lists or labelled examples:
/// online training.
///
///   prefer::token_table table;
///   prefer::bigram<double> policy(vocabulary, table);
///   prefer::sampled source(policy, table, prompts, prefer::best_and_worst{reward}, {.completions = 4});
///   prefer::trainer run(policy, prefer::dpo{}, reference, source, {.steps = 1000});
///
/// Each prompt comes once in an epoch, in an order drawn anew. The completions are numbers of `table`, which the policy
/// looks up its tokens in: those of one step take the place of those of the step before, behind what the table had when
/// the source was made, and go with the source. Policy and table are borrowed and outlive the source.
///
/// Resume  a step's completions depend on its number and the parameters alone, so a checkpoint needs no more
/// Errors  precondition_error for no prompts, no completions or none per step, and for a judge that makes more examples
///         of n completions than n^2; caches of log-probabilities refuse such batches
template <SamplingPolicy P, Judge J>
class sampled {
 public:
  sampled(P& policy, token_table& table, std::vector<std::uint32_t> prompts, J judge,
          sampled_options const& options = {})
      : policy_(&policy),
        table_(&table),
        own_completions_(table.size()),
        prompts_(std::move(prompts)),
        judge_(std::move(judge)),
        options_(options) {
    expects(!prompts_.empty(), "sampled: there is no prompt");
    expects(options_.prompts_per_step > 0, "sampled: prompts_per_step must be at least 1");
    expects(options_.completions > 0, "sampled: completions must be at least 1");
  }

  sampled(sampled const&) = delete;
  sampled& operator=(sampled const&) = delete;
  ~sampled() { table_->keep_first(own_completions_); }

  [[nodiscard]] std::uint64_t steps_per_epoch() const {
    std::size_t const each = options_.prompts_per_step;
    return prompts_.size() / each + (prompts_.size() % each != 0 ? 1 : 0);
  }

  /// Of the prompts, the options and, where it has an identity, the judge.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("sampled").add(view_of(prompts_)).add(options_.seed);
    out.add(static_cast<std::uint64_t>(options_.prompts_per_step));
    out.add(static_cast<std::uint64_t>(options_.completions));
    auto const& how = options_.sampling;
    out.add(static_cast<std::uint64_t>(how.max_tokens)).add(how.stop_token.has_value());
    out.add(how.stop_token.value_or(0)).add(static_cast<double>(how.temperature));
    out.add(static_cast<std::uint64_t>(how.top_k)).add(static_cast<double>(how.top_p));
    if constexpr (requires {
                    { judge_.identity() } -> std::convertible_to<std::uint64_t>;
                  }) {
      out.add(static_cast<std::uint64_t>(judge_.identity()));
    }
    return out.value();
  }

  void gather(std::uint64_t step, batch_part const& part, choice_minibatch& out) {
    std::uint64_t const epoch = step / steps_per_epoch();
    auto const begin =
        static_cast<std::size_t>(step % steps_per_epoch()) * options_.prompts_per_step;
    auto const order = permutation(prompts_.size(), options_.seed, epoch);
    std::size_t const in_batch =
        detail::at_most(options_.prompts_per_step, prompts_.size() - begin);
    std::size_t const n = options_.completions;

    prompt_.clear();  // each as often as it has completions
    std::size_t const first = part.begin(in_batch);
    for (std::size_t i = first; i != part.end(in_batch); ++i) {
      prompt_.insert(prompt_.end(), n, prompts_[order[begin + i]]);
    }
    id_.resize(prompt_.size());
    table_->keep_first(own_completions_);
    // Addresses count completions and prompts within the batch of the step, whoever writes them.
    policy_->sample(view_of(prompt_), options_.sampling,
                    {.seed = options_.seed,
                     .purpose = random_purpose::completion,
                     .step = step,
                     .index = first * n},
                    *table_, std::span<std::uint32_t>(id_));

    std::vector<written_completions> written;
    for (std::size_t k = 0; k != prompt_.size() / n; ++k) {
      written.push_back({.prompt = prompt_[k * n],
                         .completion = view_of(id_, k * n, n),
                         .table = *table_,
                         .address = {.seed = options_.seed,
                                     .purpose = random_purpose::preference,
                                     .step = step,
                                     .index = (first + k) << 16}});
    }
    if constexpr (requires { judge_.look(view_of(written)); }) judge_.look(view_of(written));
    choice_data examples;
    name_.clear();
    for (std::size_t k = 0; k != written.size(); ++k) {
      judge_(written[k], examples);
      name_examples(examples.size(), (first + k) * n * n);
    }
    examples.expects_shapes("sampled");
    out.gather_drawn(examples, view_of(name_), step);
  }

 private:
  // The examples of one prompt, numbered from `from` on: the same names however many processes there are.
  void name_examples(std::size_t examples, std::size_t from) {
    std::size_t const before = name_.size();
    std::size_t const most = options_.completions * options_.completions;
    if (examples < before || examples - before > most) {
      detail::broken("sampled: the judge made " + std::to_string(examples) + " examples of " +
                     std::to_string(before) + " and " + std::to_string(options_.completions) +
                     " completions, expected at most " + std::to_string(most) + " more");
    }
    while (name_.size() != examples) name_.push_back(from + name_.size() - before);
  }

  P* policy_;
  token_table* table_;
  std::size_t own_completions_;
  std::vector<std::uint32_t> prompts_;
  J judge_;
  sampled_options options_;

  // Working memory, kept from step to step.
  std::vector<std::uint32_t> prompt_;
  std::vector<std::uint32_t> id_;
  std::vector<std::size_t> name_;
};

}  // namespace prefer::inline v0_1
