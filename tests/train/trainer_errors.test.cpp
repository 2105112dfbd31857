// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>
#include <stdexcept>
#include <string>
#include <train/small_problem.hpp>
#include <vector>

#include "trainer_subjects.hpp"

using namespace trainer_subjects;

TEST_CASE("trainer: refuses a beta schedule that cannot hold", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto data = small::pairs(4);
  auto const formula = prefer::pair_loss([](auto const& p) { return -p.log_prob_margin(); });
  CHECK(message_of(
            [&] { trainer(policy, formula, reference, data, {}, prefer::constant_beta{1.0}); }) ==
        "trainer: step 1: beta comes from a schedule, but this loss has no hyper-parameter beta");
  CHECK(message_of([&] { trainer(policy, prefer::dpo{.beta = -1}, reference, data); }) ==
        "dpo: beta is -1, expected a finite number greater than zero");
  auto const falls_to_zero = [](std::uint64_t step) { return step == 0 ? 1.0 : 0.0; };
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2}, falls_to_zero);
  run.step();
  auto const before = state_of(policy);
  CHECK(message_of([&] { run.step(); }) ==
        "trainer: step 2: dpo: beta is 0, expected a finite number greater than zero");
  CHECK(state_of(policy) == before);
  data.beta.assign(4, 1.0f);
  CHECK(message_of([&] {
          trainer(policy, prefer::dpo{}, reference, data, {}, prefer::constant_beta{1.0});
        }) == "trainer: a beta schedule was given, but each row of the data has its own beta");
}

TEST_CASE("trainer: refuses options that make no sense", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto const data = small::pairs(4);
  auto const refusal = [&](train_options const& options) {
    return message_of([&] { trainer(policy, prefer::dpo{}, reference, data, options); });
  };
  CHECK(refusal({.batch_size = 0}) == "shuffled: batch_size must be at least 1");
  CHECK(refusal({.max_gradient_norm = 0}) ==
        "trainer: max_gradient_norm must be greater than zero");
  CHECK(refusal({.max_gradient_norm = std::nan("")}) ==
        "trainer: max_gradient_norm must be greater than zero");
}

TEST_CASE("trainer: refuses data that does not fit the loss", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto const refusal = [&](auto const& loss, choice_data const& data) {
    return message_of([&] { trainer(policy, loss, reference, data).step(); });
  };
  CHECK(refusal(prefer::dpo{}, {}) == "trainer: the data set is empty");

  auto data = small::pairs(2);
  data.add_list(3, std::vector<std::uint32_t>{1, 2, 3});
  CHECK(refusal(prefer::dpo{}, data) == "trainer: row 2 has 3 completions; this loss takes 2");
  CHECK(refusal(prefer::kto{}, small::pairs(2)) ==
        "trainer: row 0 has 2 completions; this loss takes 1");

  auto unlabelled = small::labelled(4);
  unlabelled.label.clear();
  CHECK(refusal(prefer::kto{}, unlabelled) ==
        "trainer: this loss reads label, which the data does not have");

  auto alone = small::labelled(4);
  alone.kl_examples.clear();
  CHECK(refusal(prefer::kto{}, alone) ==
        "unpaired_columns: this loss takes its baseline from KL examples; give "
        "kl_examples.policy and kl_examples.reference");

  auto empty_list = small::lists(2);
  empty_list.prompt.push_back(0);
  empty_list.offset.push_back(empty_list.completion.size());
  CHECK(refusal(prefer::plackett_luce{}, empty_list) ==
        "trainer: row 2 has 0 completions; this loss takes at least 1");
}

TEST_CASE("trainer: refuses data whose every row has weight 0", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto data = small::pairs(4);
  auto const refusal = [&] {
    return message_of([&] { trainer(policy, prefer::dpo{}, reference, data); });
  };
  data.weight = {0, 0, 0, 0};
  CHECK(refusal() == "trainer: every row has weight 0: there is nothing to learn from");
  data.weight = {0, 0, 0.5f, 0};
  CHECK(refusal() == "");
}

TEST_CASE("trainer: refuses columns of a wrong size", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto const refusal = [&](auto&& change) {
    auto data = small::pairs(4);
    change(data);
    return message_of([&] { trainer(policy, prefer::dpo{}, reference, data); });
  };
  CHECK(refusal([](choice_data&) {}) == "");
  CHECK(refusal([](choice_data& d) {
          d.weight = {1, 1};
        }) == "trainer: weight has 2 elements, expected 4");
  CHECK(refusal([](choice_data& d) {
          d.beta = {1, 1};
        }) == "trainer: beta has 2 elements, expected 4");
  CHECK(refusal([](choice_data& d) {
          d.length = {1, 1, 1, 1};
        }) == "trainer: length has 4 elements, expected 8");
  CHECK(refusal([](choice_data& d) { d.kl_examples = {1}; }) ==
        "trainer: kl_examples has 1 elements, expected 4");
  // A loss that reads no labels must not read beyond them either.
  CHECK(refusal([](choice_data& d) { d.label = {1}; }) ==
        "trainer: label has 1 elements, expected 4");
  CHECK(refusal([](choice_data& d) { d.offset = {0}; }) ==
        "trainer: offset has 1 elements, expected 5");
  CHECK(refusal([](choice_data& d) { d.completion.pop_back(); }) ==
        "trainer: completion has 7 elements, expected 8");
}

TEST_CASE("trainer: refuses lengths and betas that are not positive numbers", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto data = small::pairs(2);
  for (float const bad : {0.0f, -1.0f, not_a_number}) {
    data.length = {1, 1, bad, 1};
    CHECK(message_of([&] { trainer(policy, prefer::simpo{}, reference, data); }) ==
          "trainer: completion 2 of the data has length " + std::to_string(bad) +
              "; expected a finite number of tokens, greater than zero");
    data.length.clear();
    data.beta = {1, bad};
    CHECK(message_of([&] { trainer(policy, prefer::dpo{}, reference, data); }) ==
          "trainer: row 1 has beta " + std::to_string(bad) +
              "; expected a finite number greater than zero");
    data.beta.clear();
  }
  data.beta = {1, 1};
  auto const formula = prefer::pair_loss([](auto const& p) { return -p.log_prob_margin(); });
  CHECK(message_of([&] { trainer(policy, formula, reference, data); }) ==
        "trainer: the data has a column beta, which this loss does not read");
}

TEST_CASE("trainer: an id that the policy does not have stops the step", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, small::completions);
  auto const before = state_of(policy);
  CHECK(message_of([&] { trainer(policy, prefer::dpo{}, reference, data).step(); }) ==
        "tabular::logit: completion 1 is 5, expected less than 5");
  CHECK(state_of(policy) == before);
}

TEST_CASE("trainer: a loss that is not finite names its row and moves nothing",
          "[train][trainer]") {
  auto const loss = prefer::pair_loss(
      [](auto const& p) { return softplus(-p.log_ratio_margin()) + log(p.chosen.score); });
  for (float const bad : {-1.0f, 0.0f}) {  // whose logarithms are NaN and minus infinity
    auto policy = small::policy<table>();
    auto reference = prefer::frozen(policy);
    auto data = small::pairs(23);
    data.score.assign(46, 1.0f);
    data.score[2 * 17] = bad;
    trainer run(policy, loss, reference, data, {.batch_size = 4, .micro_batch_size = 1});
    std::string message;
    std::vector<double> before;
    while (message.empty() && !run.done()) {
      before = state_of(policy);
      message = message_of([&] { run.step(); });
    }
    CHECK(message == "trainer: at step " + std::to_string(run.steps_done() + 1) +
                         " the loss of row 17 is not finite");
    CHECK(state_of(policy) == before);
  }
}

TEST_CASE("trainer: a derivative that is not finite names its row too", "[train][trainer]") {
  // As float, the loss 1e20 ln 2 is a number and its derivative, -1e20 * 1e30 / 2, is not.
  prefer::tabular<float> policy(1, 2);
  prefer::no_reference<float> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.weight = {1e20f};
  CHECK(message_of([&] { trainer(policy, prefer::dpo{.beta = 1e30}, reference, data).step(); }) ==
        "trainer: at step 1 the derivative of the loss of row 0 is not finite");
  CHECK(state_of(policy) == std::vector<float>{0, 0});
}

TEST_CASE("trainer: a gradient that is not finite moves nothing", "[train][trainer]") {
  struct exploding : table {
    using table::tabular;
    void finish_backward() { parameters()[0].gradient[0] = infinity; }
  };
  exploding policy(1, 2);
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  trainer run(policy, prefer::dpo{}, reference, data, {.max_gradient_norm = 1});
  CHECK(message_of([&] { run.step(); }) == "trainer: at step 1 the gradient is not finite");
  CHECK(state_of(policy) == std::vector<double>{0, 0});
}

TEST_CASE("trainer: a step that failed leaves no trace in those that follow", "[train][trainer]") {
  auto const data = small::pairs(23);
  no_reference<double> reference;
  train_options const options{.batch_size = 8, .micro_batch_size = 3, .epochs = 2, .rate = 0.05};
  auto const start = small::values<double>(small::prompts * small::completions);

  table expected(small::prompts, small::completions, start);
  trainer(expected, remembering{}, reference, data, options).run();

  // Each micro-batch of the 8 rows is scored twice and goes back once.
  for (auto const kind : {trouble::log_prob_throws, trouble::log_prob_is_nan,
                          trouble::backward_throws, trouble::finish_throws}) {
    for (int const calls_until : {0, 1, 2}) {
      INFO("trouble " << static_cast<int>(kind) << " after " << calls_until << " calls");
      troubled policy(small::prompts, small::completions, start);
      trainer run(policy, remembering{}, reference, data, options);
      run.step();
      auto const before = state_of(policy);
      policy.kind = kind;
      policy.calls_until = calls_until;
      for (int i = 0; policy.kind != trouble::none; ++i) {
        auto const unmoved = state_of(policy);
        auto const done = run.steps_done();
        auto const message = message_of([&] { run.step(); });
        if (message.empty()) continue;
        CHECK(policy.kind == trouble::none);
        CHECK(state_of(policy) == unmoved);
        CHECK(run.steps_done() == done);
      }
      run.run();
      CHECK(state_of(policy) == state_of(expected));
    }
  }
}

TEST_CASE("trainer: an error of finish_backward reaches the caller each time", "[train][trainer]") {
  struct broken : table {
    using table::tabular;
    bool is_broken = false;
    void finish_backward() {
      if (is_broken) throw std::runtime_error("device lost");
      table::finish_backward();
    }
  };
  auto const data = small::with_lengths(small::pairs(5));
  auto const start = small::values<double>(small::prompts * small::completions);
  no_reference<double> reference;
  broken policy(small::prompts, small::completions, start);
  trainer run(policy, prefer::simpo{}, reference, data);
  policy.is_broken = true;
  for (int again = 0; again < 3; ++again) {
    CHECK(message_of([&] { run.step(); }) == "device lost");
    CHECK(state_of(policy) == start);
  }
  policy.is_broken = false;
  run.step();

  table whole(small::prompts, small::completions, start);
  trainer(whole, prefer::simpo{}, reference, data).step();
  CHECK(state_of(policy) == state_of(whole));
}

TEST_CASE("trainer: starts from no gradient, whatever was left behind", "[train][trainer]") {
  auto const data = small::with_lengths(small::pairs(5));
  auto const start = small::values<double>(small::prompts * small::completions);
  no_reference<double> reference;
  table clean(small::prompts, small::completions, start);
  trainer(clean, prefer::simpo{}, reference, data).step();

  table used(small::prompts, small::completions, start);
  used.backward(data.batch(), std::vector<double>{9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  trainer(used, prefer::simpo{}, reference, data).step();
  CHECK(state_of(used) == state_of(clean));
}

TEST_CASE("trainer: a reference that is not the start it claims to be is refused",
          "[train][trainer]") {
  auto policy = small::policy<table>();
  auto reference = prefer::frozen(policy);
  policy.parameters()[0].value[2 * small::completions + 3] += 1;
  auto const before = state_of(policy);
  choice_data data;
  for (std::uint32_t p = 0; p < small::prompts; ++p) data.add_pair(p, 0, 3);
  // Prompt 2, completion 3 gains about 0.8 nats and its others lose about 0.2.
  trainer run(policy, prefer::dpo{}, reference, data, {.reference_is_start = true});
  CHECK_THAT(message_of([&] { run.step(); }),
             Catch::StartsWith("reference: it should be the initial policy, yet |log_ratio| of "
                               "completion 1 of row 2 is 0."));
  CHECK(state_of(policy) == before);
  CHECK(run.steps_done() == 0);
}
