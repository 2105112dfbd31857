// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <prefer/loss/bco.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/nca.hpp>
#include <prefer/loss/sppo.hpp>

// Rows of another implementation, TRL, through the kernels. All rows go through the host (tests/golden), whose numbers every
// loss has on a device; these are seen directly.

namespace {

using nlohmann::json;
namespace cuda = prefer::cuda;

constexpr cudaStream_t stream = nullptr;

/// Both compute in double, with exponentials of their own; a factor of beta is in front of margins of some hundred nats.
void near_all(std::vector<double> const& got, json const& expected, double beta) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    double const want = expected[i];
    CAPTURE(i, want, got[i]);
    CHECK(std::abs(got[i] - want) <= 1e-12 * std::abs(want) + 2e-15 * std::fmax(beta, 1.0));
  }
}

template <prefer::PairLoss L>
void check_row(L const& loss, json const& row, json const& inputs, double beta) {
  auto const column = [&](char const* name) {
    return cuda::device_column<double>(inputs.at(name).get<std::vector<double>>(), stream);
  };
  auto const policy_chosen = column("policy_chosen"), policy_rejected = column("policy_rejected");
  auto const ref_chosen = column("ref_chosen"), ref_rejected = column("ref_rejected");
  cuda::pair_columns const batch{.policy = {policy_chosen, policy_rejected},
                                 .reference = {ref_chosen, ref_rejected}};
  auto const result = cuda::evaluate<double>(loss, batch);
  near_all({result.loss.read()}, json::array({row.at("loss")}), beta);
  near_all(result.value.to_host(), row.at("per_pair_loss"), beta);
  near_all(result.coefficient.chosen.to_host(), row.at("grad_chosen"), beta);
  near_all(result.coefficient.rejected.to_host(), row.at("grad_rejected"), beta);
}

TEST_CASE("cuda: golden rows of TRL", "[cuda][golden]") {
  std::ifstream file(std::string(PREFER_GOLDEN_DIR) + "/dpo.json");
  json const all = json::parse(file);
  std::size_t rows = 0;
  for (json const& row : all.at("cases")) {
    json const& hyper = row.at("hyper");
    if (hyper.at("f_divergence_type") != "reverse_kl" || !row.at("finite")) continue;
    std::string const type = row.at("loss_type");
    double const beta = hyper.at("beta");
    json const& inputs = all.at("inputs").at(row.at("inputs").get<std::string>());
    INFO(row.at("id").get<std::string>());
    rows += 1;
    if (type == "sigmoid") {
      check_row(prefer::dpo{.beta = beta}, row, inputs, beta);
    } else if (type == "hinge") {
      check_row(prefer::hinge{.beta = beta}, row, inputs, beta);
    } else if (type == "bco_pair") {
      check_row(prefer::bco_pair{.beta = beta}, row, inputs, beta);
    } else if (type == "nca_pair") {
      check_row(prefer::nca_pair{.beta = beta}, row, inputs, beta);
    } else if (type == "sppo_hard") {
      check_row(prefer::sppo_hard{.beta = beta}, row, inputs, beta);
    } else {
      rows -= 1;
    }
  }
  CHECK(rows == 100);  // 20 of each
}

}  // namespace
