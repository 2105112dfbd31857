// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/batch/token_table.hpp>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/tdpo.hpp>
#include <prefer/loss/wpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

// Losses that read more of a policy than its log-probabilities, trained on the policy that has it all.

namespace {

using chain = prefer::bigram<double>;

struct problem {
  prefer::token_table table;
  prefer::choice_data data;

  problem() {
    std::vector<std::uint32_t> id;
    for (auto const& tokens : std::vector<std::vector<std::uint32_t>>{
             {1, 2, 3}, {2, 2}, {0, 1, 3, 3}, {3, 0, 0}, {1, 1}}) {
      id.push_back(static_cast<std::uint32_t>(table.add(tokens)));
    }
    data.add_pair(0, id[0], id[1]);
    data.add_pair(1, id[2], id[3]);
    data.add_pair(2, id[4], id[1]);
    data.add_pair(3, id[0], id[2]);
  }
};

struct course {
  double first = 0.0;
  double last = 0.0;
  std::vector<double> parameters = {};
};

template <prefer::Loss L>
course train(L const& loss, std::size_t micro_batch_size) {
  problem const p;
  chain policy(4, p.table);
  auto reference = prefer::frozen(policy);
  prefer::trainer run(policy, loss, reference, p.data,
                      {.batch_size = 4,
                       .micro_batch_size = micro_batch_size,
                       .epochs = 60,
                       .rate = 0.05,
                       .reference_is_start = true});
  course out;
  run.run([&](prefer::step_report const& report) {
    if (report.step == 1) out.first = report.loss;
    out.last = report.loss;
  });
  auto const values = policy.parameters()[0].value;
  out.parameters.assign(values.begin(), values.end());
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("trainer: losses that read token columns, draws or ranks learn, in any cut",
                   "[train]", prefer::tdpo1, prefer::tdpo2, prefer::wpo<>, prefer::epsilon_dpo<>,
                   prefer::beta_dpo<>, prefer::aot, prefer::aot_unpaired) {
  auto const whole = train(TestType{}, 0);
  auto const pieces = train(TestType{}, 1);
  CHECK(whole.parameters == pieces.parameters);
  CHECK(whole.last < 0.7 * whole.first);
}

TEST_CASE("trainer: at the reference every one of them starts from DPO's ln 2", "[train]") {
  // Divergences are 0 and margins are 0; a step of epsilon-DPO is 0 where all margins are equal.
  for (double const first :
       {train(prefer::tdpo1{}, 0).first, train(prefer::tdpo2{}, 0).first,
        train(prefer::epsilon_dpo<>{}, 0).first, train(prefer::beta_dpo<>{}, 0).first,
        train(prefer::aot{}, 0).first, train(prefer::aot_unpaired{}, 0).first}) {
    CHECK(first == Approx(std::numbers::ln2).epsilon(1e-12));
  }
}

TEST_CASE("trainer: one step of TDPO moves along both of its gradients", "[train]") {
  // A step of the trainer at a plain rate is too small to see the optimizer's scaling; so the gradient is taken
  // from a policy away from its reference by hand, and compared with differences of the loss.
  problem const p;
  chain policy(4, p.table);
  auto logits = policy.parameters()[0];
  for (std::size_t i = 0; i < logits.value.size(); ++i) {
    logits.value[i] = 0.3 * std::sin(static_cast<double>(i));
  }
  chain start(4, p.table);
  auto reference = prefer::frozen(start);
  prefer::tdpo1 const loss{.beta = 0.7};
  auto const batch = p.data.batch();

  std::size_t const n = p.data.completion.size();
  struct columns {
    std::vector<double> chosen, rejected;
    explicit columns(std::vector<double> const& all) {
      for (std::size_t i = 0; i < all.size(); i += 2) {
        chosen.push_back(all[i]);
        rejected.push_back(all[i + 1]);
      }
    }
  };
  auto const evaluate_at = [&](chain& at) {
    std::vector<double> log_prob(n), divergence(n), reference_log_prob(n);
    at.log_prob(batch, log_prob);
    at.evaluate(batch, {.divergence = divergence}, reference);
    reference.log_prob(batch, reference_log_prob);
    columns const x(log_prob), d(divergence), r(reference_log_prob);
    return prefer::evaluate(loss, prefer::pair_columns{.policy = {x.chosen, x.rejected},
                                                       .reference = {r.chosen, r.rejected},
                                                       .divergence = {d.chosen, d.rejected}});
  };
  auto const result = evaluate_at(policy);
  std::vector<double> by_log_prob, by_divergence;
  for (std::size_t g = 0; g < p.data.size(); ++g) {
    by_log_prob.insert(by_log_prob.end(),
                       {result.coefficient.chosen[g], result.coefficient.rejected[g]});
    by_divergence.insert(by_divergence.end(), {result.divergence_coefficient.chosen[g],
                                               result.divergence_coefficient.rejected[g]});
  }
  policy.backward(batch, by_log_prob);
  policy.backward(batch, {.divergence = by_divergence}, reference);
  policy.finish_backward();

  double const h = 1e-5;  // error of the difference: h^2 |f'''| / 6 + 2^-52 / h, both below 1e-10
  for (std::size_t i = 0; i < logits.value.size(); ++i) {
    CAPTURE(i);
    double const at = logits.value[i];
    logits.value[i] = at + h;
    double const above = evaluate_at(policy).loss;
    logits.value[i] = at - h;
    double const below = evaluate_at(policy).loss;
    logits.value[i] = at;
    CHECK(std::fabs(logits.gradient[i] - (above - below) / (2 * h)) < 1e-9);
  }
}
