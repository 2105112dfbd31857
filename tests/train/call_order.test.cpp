// SPDX-License-Identifier: MIT
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/batch/choices.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/train/trainer.hpp>

// In which order a trainer calls policy and reference, for every loss of the catalogue: what a policy that keeps
// activations, or that shares its memory with the reference, relies on.

namespace {

using prefer::choice_batch;
using prefer::completion_output;

// R, r: the reference's log_prob of the batch, of its KL examples. F, f: a forward pass of the policy. B: a backward
// pass. Lower case x: a call of the short contract.
struct diary {
  std::string calls;
  prefer::completion_output_set wanted, given;
};

// Every completion has two tokens.
void two_tokens_each(choice_batch const& batch, std::vector<std::size_t>& out) {
  out.clear();
  for (std::size_t i = 0; i <= batch.completions(); ++i) out.push_back(2 * i);
}

double number(choice_batch const& batch, std::size_t i) {
  return -1.0 - 0.25 * static_cast<double>(batch.completion[i]);
}

class recording_reference {
 public:
  using value_type = double;
  explicit recording_reference(diary& in) : diary_(&in) {}
  void log_prob(choice_batch const& batch, std::span<double> out) {
    diary_->calls += batch.kl_examples ? 'r' : 'R';
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = number(batch, i) - 0.125;
  }
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) {
    two_tokens_each(batch, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<double> out) {
    diary_->calls += 'R';
    for (std::size_t t = 0; t < out.size(); ++t) out[t] = number(batch, t / 2) / 2 - 0.125;
  }

 private:
  diary* diary_;
};

class recording_policy {
 public:
  using value_type = double;
  static constexpr auto gives = completion_output::token_log_prob | completion_output::divergence |
                                completion_output::alignment | completion_output::perturbed;
  explicit recording_policy(diary& in) : diary_(&in) {}

  void log_prob(choice_batch const&, std::span<double>) { diary_->calls += 'x'; }
  void backward(choice_batch const&, std::span<double const>) { diary_->calls += 'x'; }
  void evaluate(choice_batch const& batch, prefer::completion_outputs<double> const& wanted,
                recording_reference&) {
    evaluate(batch, wanted);
  }
  void evaluate(choice_batch const& batch, prefer::completion_outputs<double> const& wanted) {
    diary_->calls += batch.kl_examples ? 'f' : 'F';
    diary_->wanted = diary_->wanted | wanted.wanted();
    for (auto const& column : {wanted.log_prob, wanted.divergence, wanted.alignment,
                               wanted.perturbed_toward, wanted.perturbed_away}) {
      for (std::size_t i = 0; i < column.size(); ++i) column[i] = number(batch, i);
    }
    for (std::size_t t = 0; t < wanted.token_log_prob.size(); ++t) {
      wanted.token_log_prob[t] = number(batch, t / 2) / 2;
    }
  }
  void backward(choice_batch const& batch, prefer::completion_gradients<double> const& given,
                recording_reference&) {
    backward(batch, given);
  }
  void backward(choice_batch const&, prefer::completion_gradients<double> const& given) {
    CHECK(given.log_prob.empty() == given.given().contains(completion_output::token_log_prob));
    diary_->calls += 'B';
    diary_->given = diary_->given | given.given();
  }
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) {
    two_tokens_each(batch, out);
  }
  void token_log_prob(choice_batch const&, std::span<double>) { diary_->calls += 'x'; }
  void token_backward(choice_batch const&, std::span<double const>) { diary_->calls += 'x'; }
  std::vector<prefer::parameter<double>> parameters() { return {}; }

 private:
  diary* diary_;
};

static_assert(prefer::Policy<recording_policy, choice_batch>);

// Three groups with all that a loss may read, those of one completion with KL examples.
template <prefer::Loss L>
prefer::choice_data data_for() {
  prefer::choice_data data;
  constexpr std::size_t list = prefer::list_size_of<L>();
  for (std::uint32_t g = 0; g < 3; ++g) {
    if constexpr (L::arity == 1) {
      data.add_labelled(g, g, g % 2 == 0);
    } else if constexpr (L::arity == 2) {
      data.add_pair(g, g, g + 1);
      data.chosen_from_reference.push_back(static_cast<float>(g % 2));
    } else {
      std::vector<std::uint32_t> ids;
      for (std::uint32_t k = 0; k < (list == 0 ? 3 : list); ++k) ids.push_back(k);
      data.add_list(g, ids);
    }
  }
  for (std::size_t i = 0; i < data.completion.size(); ++i) {
    data.length.push_back(static_cast<float>(1 + i % 2));
  }
  for (std::size_t g = 0; g < data.size(); ++g) {  // the best first
    for (std::size_t i = data.offset[g]; i < data.offset[g + 1]; ++i) {
      data.score.push_back(0.75f - 0.125f * static_cast<float>(i - data.offset[g]));
    }
  }
  if constexpr (L::arity == 1) data.pair_with_others();
  return data;
}

// What the trainer did in one step, after it was made.
template <prefer::Loss L>
diary step(L const& loss, prefer::train_options const& options) {
  diary out;
  recording_policy policy(out);
  recording_reference reference(out);
  auto const data = data_for<L>();
  prefer::trainer run(policy, loss, reference, data, options);
  out = {};
  run.step();
  return out;
}

std::string times(std::size_t count, std::string const& calls) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += calls;
  return out;
}

}  // namespace

TEST_CASE("trainer: every loss takes one forward and one backward pass, the reference first",
          "[train][call_order]") {
  prefer::for_each_loss([]<prefer::Loss L>(L const& loss, prefer::loss_info const&) {
    CAPTURE(L::name);
    bool const whole_batch =
        !std::is_same_v<prefer::loss_state<L>, prefer::nothing> || prefer::detail::matches<L>;
    std::string const reference = reads(loss).contains(prefer::column_name::reference) ? "R" : "";
    std::string const others =
        whole_batch && L::arity == 1 && !prefer::is_over_tokens<L> ? "rf" : "";

    auto const whole = step(loss, {.batch_size = 3});
    CHECK(whole.calls == others + reference + "FB");
    CHECK(whole.wanted.contains(completion_output::divergence) ==
          whole.given.contains(completion_output::divergence));

    // A statistic of the whole batch needs every log-probability before the first coefficient: only then is the policy
    // asked twice, and backward still follows a forward pass of its own micro-batch.
    auto const pieces = step(loss, {.batch_size = 3, .micro_batch_size = 1});
    CHECK(pieces.calls == (whole_batch
                               ? times(3, others) + times(3, reference + "F") + times(3, "FB")
                               : times(3, reference + "FB")));
    CHECK(pieces.wanted == whole.wanted);
    CHECK(pieces.given == whole.given);
  });
}

TEST_CASE("trainer: losses that read more of a policy ask for it in the same forward pass",
          "[train][call_order]") {
  prefer::train_options const options{.batch_size = 3};
  using enum completion_output;
  CHECK(step(prefer::dpo{}, options).wanted.empty());
  CHECK(step(prefer::tdpo2{}, options).wanted == divergence);
  CHECK(step(prefer::tdpo2{}, options).given == divergence);
  CHECK(step(prefer::wpo<>{}, options).wanted == alignment);
  CHECK(step(prefer::wpo<>{}, options).given.empty());
  CHECK(step(prefer::epsilon_dpo<>{}, options).wanted == perturbed);
}

TEST_CASE("trainer: the check of the first step asks for no more at once than a step does",
          "[train][call_order]") {
  struct counting_policy : recording_policy {
    using recording_policy::recording_policy;
    std::vector<std::size_t> asked;
    void log_prob(choice_batch const& batch, std::span<double> out) {
      asked.push_back(batch.completions());
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = number(batch, i);
    }
  };
  diary calls;
  counting_policy policy(calls);
  auto const data = data_for<prefer::dpo>();
  struct same_reference {
    using value_type = double;
    std::vector<std::size_t> asked;
    void log_prob(choice_batch const& batch, std::span<double> out) {
      asked.push_back(batch.completions());
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = number(batch, i);
    }
  } reference;
  prefer::trainer run(policy, prefer::simpo{}, reference, data,
                      {.batch_size = 3, .micro_batch_size = 1, .reference_is_start = true});
  calls = {};
  run.step();
  CHECK(policy.asked == std::vector<std::size_t>(3, 2));
  CHECK(reference.asked == std::vector<std::size_t>(3, 2));
  CHECK(calls.calls == "FBFBFB");
}
